/** Rows of the fault table: redirects (RFC 8572 5.4) in circles, and to whom they may lead a box. */
import { certsOnly } from '../../../../src/pki/cms.ts';
import { wrapConveyed } from '../../../../src/pki/conveyed.ts';
import { issue } from '../../pki/domain.ts';
import { HOST } from '../authorities.ts';
import { conveyedBy, createFaultBench } from '../faultBench.ts';
import { redirect, type Reply, sztpReply } from '../servers.ts';
import { faultTable, firstFailure, OWNED, refusedUnowned, thenMended } from './table.ts';

const bench = createFaultBench();
const toSelf = () => ({ address: HOST, port: bench.controller.port });
const bare = (target: unknown): Reply => bareTo([target]);
const bareTo = (targets: readonly unknown[]): Reply =>
  sztpReply({
    conveyed: wrapConveyed(redirect(targets), 'json'),
    voucher: undefined,
    ownerCertificate: undefined,
  });
/** At the first question; good answers after it. */
function once(reply: (nonce: Uint8Array) => Reply): void {
  let first = true;
  bench.controller.behaviour.sztp = (nonce) => {
    if (!first) return bench.good.sztp(nonce);
    first = false;
    return reply(nonce);
  };
}
const anchorOf = (who: 'domain' | 'stranger'): string =>
  Buffer.from(certsOnly([bench.authorities[who].certificate])).toString('base64');
const signedTo =
  (who: 'domain' | 'stranger') =>
  (nonce: Uint8Array): Reply => {
    const target = { ...toSelf(), 'trust-anchor': anchorOf(who) };
    return sztpReply({ ...bench.good.artefacts(nonce), conveyed: conveyedBy(bench, redirect([target])) });
  };

faultTable('redirect', [
  {
    fault: 'in a circle',
    must: 'give up after ten, keep nothing, go on asking',
    outcome: 'bootstrap/refused in PROVISIONAL, asked 11 times; mended',
    told: 'bootstrap/refused: controller.branchbox.example:PORT led to more than 10 redirects',
    run: async () => {
      let asked = 0;
      bench.controller.behaviour.sztp = () => {
        asked += 1;
        return bare(toSelf());
      };
      const seen = await firstFailure(bench, 'OWNED');
      return thenMended(bench, { ...seen, outcome: `${seen.outcome}, asked ${asked} times` });
    },
  },
  {
    fault: 'bare and unsigned, to a server of the owner',
    must: 'follow it, and believe signed data alone',
    outcome: 'OWNED',
    told: OWNED,
    run: () => {
      once(() => bare(toSelf()));
      return firstFailure(bench, 'OWNED');
    },
  },
  {
    fault: 'unsigned, with a trust anchor of the attacker’s',
    must: 'follow it, and pass over the anchor',
    outcome: 'OWNED',
    told: OWNED,
    run: () => {
      once(() => bare({ ...toSelf(), 'trust-anchor': anchorOf('stranger') }));
      return firstFailure(bench, 'OWNED');
    },
  },
  {
    fault: 'signed, its anchor a CA below the root that the server is of by another way',
    must: 'refuse it: of a chain the lowest counts, keep nothing of it, go on asking',
    outcome: 'pki/untrusted in PROVISIONAL; mended',
    told: 'pki/untrusted: The certificate of "controller.branchbox.example" is not trusted: no path leads from it to an anchor that must be used. Is TLS intercepted on the way (captive portal, inspecting firewall)?',
    run: () => {
      const { domain } = bench.authorities;
      const other = issue(domain, { kind: 'ca', commonName: 'Other CA' });
      const anchor = Buffer.from(certsOnly([domain.certificate, other.certificate])).toString('base64');
      once((nonce) => {
        const conveyed = conveyedBy(bench, redirect([{ ...toSelf(), 'trust-anchor': anchor }]));
        return sztpReply({ ...bench.good.artefacts(nonce), conveyed });
      });
      return refusedUnowned(bench);
    },
  },
  {
    fault: 'with entries that its YANG lets stand and no box can ask: a zone, port 0',
    must: 'pass over these, tell of them, and ask the others',
    outcome: 'OWNED',
    told: 'OWNED, waits for the enrolment server of its owner; notice: controller.branchbox.example:PORT bootstrap-server[0] has an address with a zone, which is known to its writer alone (look at who redirects; the others are asked); notice: controller.branchbox.example:PORT bootstrap-server[2] has port 0, which nobody listens on (look at who redirects; the others are asked); mend: check that the controller is reachable',
    run: () => {
      once(() => bareTo([{ address: 'fe80::1%eth0' }, toSelf(), { ...toSelf(), port: 0 }]));
      return firstFailure(bench, 'OWNED');
    },
  },
  {
    fault: 'signed, one entry with a trust anchor that is none',
    must: 'never ask that one without it, tell of it, and ask the others',
    outcome: 'OWNED',
    told: 'OWNED, waits for the enrolment server of its owner; notice: controller.branchbox.example:PORT bootstrap-server[0] has a trust anchor that cannot be used: Bytes are not one CMS message (look at who redirects; the others are asked); mend: check that the controller is reachable',
    run: () => {
      const named = [
        { ...toSelf(), address: 'evil.example', 'trust-anchor': 'AAAA' },
        { ...toSelf(), 'trust-anchor': anchorOf('domain') },
      ];
      once((nonce) =>
        sztpReply({ ...bench.good.artefacts(nonce), conveyed: conveyedBy(bench, redirect(named)) }),
      );
      return firstFailure(bench, 'OWNED');
    },
  },
  {
    fault: 'signed, its one entry with a trust anchor that is none',
    must: 'never ask that one without it, and refuse the redirect',
    outcome: 'model/invalid in PROVISIONAL; mended',
    told: 'model/invalid: The redirect information names no server that a box can ask (bootstrap-server[0] has a trust anchor that cannot be used: Bytes are not one CMS message)',
    run: () => {
      const named = [{ ...toSelf(), 'trust-anchor': 'AAAA' }];
      once((nonce) =>
        sztpReply({ ...bench.good.artefacts(nonce), conveyed: conveyedBy(bench, redirect(named)) }),
      );
      return refusedUnowned(bench);
    },
  },
  {
    fault: 'signed, to a server that its anchor does not vouch for',
    must: 'refuse it, keep nothing of it, go on asking',
    outcome: 'pki/untrusted in PROVISIONAL; mended',
    told: 'pki/untrusted: The certificate of "controller.branchbox.example" is not trusted: no path leads from it to an anchor that must be used. Is TLS intercepted on the way (captive portal, inspecting firewall)?',
    run: () => {
      once(signedTo('stranger'));
      return refusedUnowned(bench);
    },
  },
  {
    fault: 'signed, to a server that its anchor vouches for',
    must: 'follow it',
    outcome: 'OWNED',
    told: OWNED,
    run: () => {
      once(signedTo('domain'));
      return firstFailure(bench, 'OWNED');
    },
  },
]);
