/** Rows of the fault table: a box in service, whose owner takes its trust away, or changes its domain CA. */
import { readOwnIdentity } from '../../../../src/agent/ownIdentity.ts';
import { AGENT_PATHS } from '../../../../src/agent/paths.ts';
import { quarantinePath } from '../../../../src/bootstrap/paths.ts';
import type { Certificate } from '../../../../src/pki/certificate.ts';
import { type Credential, issueCertificate } from '../../../../src/pki/issue.ts';
import { serverNamed } from '../../pki/domain.ts';
import { authority, certified, DAY_MS, GATEWAY, HOST, issued } from '../authorities.ts';
import type { LogLine } from '../box.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { everywhereTo, type Reply, pkcs7, startController } from '../servers.ts';
import { faultTable, IN_SERVICE, problemOf, type Seen, stateOf, toldBy } from './table.ts';
import { createTpmUse } from '../../../../src/system/tpmUse.ts';

const bench = createFaultBench();
const WHY = 'this box was revoked';
const distrust = (): Reply => ({
  status: 403,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ standing: 'quarantined', message: WHY }),
});
const unanswered = (line: LogLine): boolean => line.message === 'the owner did not say how this box stands';

const inService = () => bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
async function traffic(): Promise<string> {
  const { box } = bench;
  return (await box.files.readText(quarantinePath(box.paths))) === undefined ? 'on' : 'off';
}

faultTable('trust of the owner', [
  {
    fault: 'taken away in mid-session',
    must: 'stop the traffic of tenants, say why, keep asking',
    outcome: 'bootstrap/quarantined in QUARANTINED, traffic off',
    told: `bootstrap/quarantined: The controller took its trust from this box: ${WHY} (an operator takes it back (branchbox fleet release) or puts another box in its place (branchbox fleet replace ${GATEWAY}))`,
    async run() {
      const { box, controller } = bench;
      await inService();
      controller.behaviour.ping = distrust;
      await box.run({ controller, until: failed });
      const line = box.log.findLast(failed);
      return {
        outcome: `${String(line?.fields['code'])} in ${await stateOf(bench)}, traffic ${await traffic()}`,
        told: problemOf(line),
      };
    },
  },
  {
    fault: 'taken away, and given back',
    must: 'come back into service by itself, with the certificate it had',
    outcome: 'OPERATIONAL, traffic on, 1 enrolment',
    told: IN_SERVICE,
    async run() {
      const { box, controller } = bench;
      await inService();
      controller.behaviour.ping = distrust;
      await box.run({ controller, until: 'QUARANTINED' });
      bench.mend();
      await inService();
      const enrolments = controller.enrolments.length;
      return {
        outcome: `${await stateOf(bench)}, traffic ${await traffic()}, ${enrolments} enrolment`,
        told: toldBy(box),
      };
    },
  },
  ...[
    [
      'by a server of another CA',
      'pki/untrusted',
      'The certificate of "controller.branchbox.example" is not trusted: no path leads from it to an anchor that must be used. Is TLS intercepted on the way (captive portal, inspecting firewall)?',
      distrust,
    ],
    [
      'by words that do not say quarantined',
      'bootstrap/refused',
      'controller.branchbox.example:PORT over wan1 answered 403: it does not know or accept this box',
      (): Reply => ({
        status: 403,
        headers: { 'content-type': 'application/json' },
        body: '{"message":"no"}',
      }),
    ],
    [
      'by a captive portal',
      'bootstrap/refused',
      'controller.branchbox.example:PORT over wan1 answered 302',
      (): Reply => ({ status: 302, headers: { location: 'https://portal.example' } }),
    ],
  ].map(([whom, code, why, reply]) => ({
    fault: `taken away ${String(whom)}`,
    must: 'stay in service',
    outcome: `${String(code)} in OPERATIONAL, traffic on`,
    told: `OPERATIONAL, waits for nothing; notice: whether the owner still trusts this box was asked, and not answered by the owner: ${String(code)}: ${String(why)}; the box stays as it is and asks again; mend: nothing to do`,
    async run(): Promise<Seen> {
      const { box, authorities, controller } = bench;
      await inService();
      const server = issued(authorities.stranger, serverNamed(HOST));
      const impostor = await startController({ ...authorities, server });
      try {
        if (typeof reply !== 'function') throw new Error('a row has an answer');
        for (const one of [impostor, controller]) one.behaviour.ping = reply;
        const by = code === 'pki/untrusted' ? { ...controller, connect: everywhereTo(impostor) } : controller;
        await box.run({ controller: by, until: unanswered });
        const line = box.log.findLast(unanswered);
        return {
          outcome: `${String(line?.fields['code'])} in ${await stateOf(bench)}, traffic ${await traffic()}`,
          told: toldBy(box),
        };
      } finally {
        await impostor.close();
      }
    },
  })),
]);

const next = authority('Test Domain CA, second');
/** EST offers these from now on, and `by` signs. */
function rollOver(offered: readonly Certificate[], by: Credential): void {
  const { box, controller } = bench;
  controller.behaviour.cacerts = () => pkcs7([bench.authorities.domain.certificate, ...offered]);
  controller.behaviour.issue = (request) =>
    issueCertificate({
      profile: { kind: 'ldevid', gatewayId: GATEWAY },
      publicKey: request.publicKey,
      issuer: by,
      validity: { notBeforeMs: box.clock.nowMs() - 60_000, notAfterMs: box.clock.nowMs() + 90 * DAY_MS },
    });
}
/** Which CAs the agent believes, and whose the certificate is. */
async function anchored(): Promise<string> {
  const own = await readOwnIdentity(
    bench.box.files,
    { ...AGENT_PATHS, identity: bench.box.paths.state },
    createTpmUse(),
  );
  const byNext = own?.anchors.some(
    ({ fingerprintSha256 }) => fingerprintSha256 === next.certificate.fingerprintSha256,
  );
  return `${own?.anchors.length ?? 0} CAs believed, the next one ${byNext === true ? '' : 'not '}among them`;
}
const renewing = () => bench.box.run({ controller: bench.controller, until: 'RENEW' });

const NO_PATH = 'no path leads from it to an anchor that must be used';
faultTable('change of the domain CA', [
  {
    fault: 'with overlap: the present CA certified the next one, which signs already',
    must: 'believe both, and renew under the next one',
    outcome: 'OPERATIONAL, 2 CAs believed, the next one among them',
    told: IN_SERVICE,
    async run() {
      await renewing();
      rollOver([next.certificate, certified(next, bench.authorities.domain)], next);
      await inService();
      return { outcome: `${await stateOf(bench)}, ${await anchored()}`, told: toldBy(bench.box) };
    },
  },
  ...(
    [
      ['that nobody vouches for', NO_PATH, () => []],
      [
        'that a stranger vouches for',
        NO_PATH,
        (all) => [certified(next, all.stranger), all.stranger.certificate],
      ],
      [
        'that the present CA vouched for until yesterday',
        'The certificate is either not yet valid or expired',
        (all) => [
          certified(next, all.domain, {
            notBeforeMs: bench.box.clock.nowMs() - 9 * DAY_MS,
            notAfterMs: bench.box.clock.nowMs() - DAY_MS,
          }),
        ],
      ],
    ] as const satisfies readonly (readonly [
      string,
      string,
      (all: typeof bench.authorities) => readonly Certificate[],
    ])[]
  ).map(([whom, why, links]) => ({
    fault: `to one ${whom}`,
    must: 'refuse what it issued, keep certificate and CA, renew once the owner is well again',
    outcome:
      'pki/untrusted in RENEW, 1 CAs believed, the next one not among them, the certificate kept; mended',
    told: `pki/untrusted: The certificate of "${GATEWAY}" is not trusted: ${why}`,
    async run(): Promise<Seen> {
      const { box, authorities, controller } = bench;
      await renewing();
      const before = await box.files.readText(`${box.paths.state}/ldevid.crt`);
      rollOver([next.certificate, ...links(authorities)], next);
      await box.run({ controller, until: failed });
      const line = box.log.findLast(failed);
      const kept = before === (await box.files.readText(`${box.paths.state}/ldevid.crt`)) ? 'kept' : 'lost';
      const seen = `${String(line?.fields['code'])} in ${await stateOf(bench)}, ${await anchored()}, the certificate ${kept}`;
      rollOver([], authorities.domain);
      await inService();
      return {
        outcome: `${seen}; ${(await stateOf(bench)) === 'OPERATIONAL' ? 'mended' : 'stuck'}`,
        told: problemOf(line),
      };
    },
  })),
]);
