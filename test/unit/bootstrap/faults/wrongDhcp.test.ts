/** Rows of the fault table: a DHCP server whose lease leads nowhere, or to strangers, and who is none although it looks so. */
import { BranchboxError } from '../../../../src/model/errors.ts';
import { wrapConveyed } from '../../../../src/pki/conveyed.ts';
import type { LogLine } from '../box.ts';
import { conveyedBy, createFaultBench, failed, ownerOf } from '../faultBench.ts';
import { onboarding, type TestController } from '../servers.ts';
import { faultTable, problemOf, type Seen, stateOf, toldBy } from './table.ts';

const bench = createFaultBench();
const WRONG = '192.0.2.9';
const SECOND = '192.0.2.10';
const RIGHT = '192.0.2.1';
const nobody = () => Promise.reject(new BranchboxError('bootstrap/unreachable', { message: 'no route' }));

/** The lease of that server, with another address than of the one before. */
async function leased(server: string, address: string): Promise<void> {
  const { box } = bench;
  await box.files.writeDurable(
    `${box.directory}/leases/wan1.env`,
    `new_ip_address=${address}\nnew_dhcp_server_identifier=${server}\n`,
  );
  box.uplinks = box.uplinks.map((uplink) => ({ ...uplink, address }));
}
const saysLeft =
  (server: string) =>
  (line: LogLine): boolean =>
    failed(line) && String(line.fields['problem']).includes(`${server} on wan1 gave leads `);
/** Until the installer reads that the wrong server's lease is left, or has waited for it long. */
async function leftWrongServer(controller: TestController): Promise<LogLine | undefined> {
  const { box } = bench;
  await leased(WRONG, '127.0.0.1');
  let failures = 0;
  const isLate = (line: LogLine): boolean => failed(line) && (failures += 1) > 20;
  await box.run({ controller, until: (line) => saysLeft(WRONG)(line) || isLate(line) });
  return box.log.find(saysLeft(WRONG));
}
/** Where nobody was left, all that the box told in that time. */
const toldUnless = (left: LogLine | undefined): string =>
  left === undefined ? toldBy(bench.box) : problemOf(left);
/** What comes of it: whom the address client is told to leave, and how far the box comes once `mended`. */
async function goesOn(told: string, mended: () => unknown): Promise<Seen> {
  const named = await namedServer();
  await mended();
  await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
  return { outcome: `${named}; ${await stateOf(bench)}`, told };
}
/** The right server's lease, and servers behind it that do as they should. */
async function rightLease(): Promise<void> {
  bench.mend();
  await leased(RIGHT, '127.0.0.2');
}
const dead = (): TestController => ({ ...bench.controller, connect: nobody });
/** As firmware/other-dhcp reads it. */
const namedServer = async (): Promise<string> => {
  const named = await bench.box.files.readText(`${bench.box.directory}/leads-nowhere/wan1`);
  return `named ${named?.trim() ?? 'nobody'}`;
};
const leftOf = (server: string, failure: string): string =>
  `${failure}; what the DHCP server ${server} on wan1 gave leads nowhere, so another one is asked for an address (take the wrong DHCP server off that line, or look at its way out where it is the right one)`;
const waitedFor = (failure: string): string =>
  `${failure}; what the DHCP server ${WRONG} on wan1 gave leads to servers that say nothing but to come again, for 15 minutes by now, so another one is asked for an address (take the wrong DHCP server off that line, or have the box approved where it is the right one)`;
const LEFT = leftOf(WRONG, 'bootstrap/unreachable: no route');

faultTable('uplinks', [
  {
    fault: 'a wrong DHCP server that answers first on the wire, and whose lease leads nowhere',
    must: 'name it to the address client and the installer, and come in by the lease of another',
    outcome: `named ${WRONG}; OPERATIONAL`,
    told: LEFT,
    run: async () => {
      const told = problemOf(await leftWrongServer(dead()));
      return goesOn(told, rightLease);
    },
  },
  {
    fault: 'a wrong DHCP server whose bootstrap server answers, and proves nothing',
    must: 'name it after two minutes, and come in by the lease of another',
    outcome: `named ${WRONG}; OPERATIONAL`,
    told: leftOf(WRONG, 'bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 404'),
    run: async () => {
      bench.controller.behaviour.sztp = () => ({ status: 404 });
      const told = problemOf(await leftWrongServer(bench.controller));
      return goesOn(told, rightLease);
    },
  },
  {
    fault: 'a wrong DHCP server whose bootstrap server hands out what nobody signed',
    must: 'name it after two minutes, and come in by the lease of another',
    outcome: `named ${WRONG}; OPERATIONAL`,
    told: leftOf(WRONG, 'pki/untrusted: The server sent onboarding information that nobody signed'),
    run: async () => {
      const { controller } = bench;
      controller.behaviour.artefacts = () => ({
        conveyed: wrapConveyed(onboarding(ownerOf(bench)), 'json'),
        ownerCertificate: undefined,
        voucher: undefined,
      });
      const told = problemOf(await leftWrongServer(controller));
      return goesOn(told, rightLease);
    },
  },
  {
    fault:
      'two wrong DHCP servers, one after the other: behind the first is nobody, behind the second somebody else',
    must: 'name one, then the other, and come in by the lease of the third',
    outcome: `named ${WRONG}, ${SECOND}; OPERATIONAL`,
    told: leftOf(SECOND, 'bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 404'),
    run: async () => {
      const { box, controller } = bench;
      const named: string[] = [];
      await leased(WRONG, '127.0.0.1');
      controller.behaviour.sztp = () => ({ status: 404 });
      const connect: TestController['connect'] = (options) =>
        options.uplink.address === '127.0.0.1' ? nobody() : controller.connect(options);
      let failures = 0;
      await box.run({
        controller: { ...controller, connect },
        until: (line) => {
          if (line.message === 'a lease leads nowhere, another DHCP server is asked') {
            named.push(String(line.fields['server']));
            if (named.length === 1) void leased(SECOND, '127.0.0.2');
          }
          // Only once the installer could read it.
          if (saysLeft(SECOND)(line)) {
            bench.mend();
            void leased(RIGHT, '127.0.0.3');
          }
          return line.fields['state'] === 'OPERATIONAL' || (failed(line) && (failures += 1) > 80);
        },
      });
      const told = problemOf(box.log.find(saysLeft(SECOND)));
      return { outcome: `named ${named.join(', ')}; ${await stateOf(bench)}`, told };
    },
  },
  {
    fault: 'a bootstrap server that says to come again (an approval, many boxes), for ten minutes',
    must: 'leave nobody: it is waited for',
    outcome: 'named nobody; OPERATIONAL',
    told: "PROVISIONAL, waits for a bootstrap server to answer with signed data; last problem: bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 404; mend: ask the operator whether the controller's inventory has this box, by its serial",
    run: async () => {
      bench.controller.behaviour.sztp = () => ({ status: 404, headers: { 'retry-after': '30' } });
      const told = toldUnless(await leftWrongServer(bench.controller));
      return goesOn(told, bench.mend);
    },
  },
  ...[
    { status: 503, retryAfterS: 60 },
    { status: 429, retryAfterS: 86_400 },
  ].map(({ status, retryAfterS }) => ({
    fault: `a wrong DHCP server whose bootstrap server says to come again, for ever (${status}, each ${retryAfterS} s)`,
    must: 'name it after a quarter of an hour, and come in by the lease of another at once',
    outcome: `named ${WRONG}; OPERATIONAL`,
    told: waitedFor(
      `bootstrap/refused: controller.branchbox.example:PORT over wan1 answered ${status}: busy`,
    ),
    run: async () => {
      const { controller } = bench;
      controller.behaviour.sztp = () => ({ status, headers: { 'retry-after': String(retryAfterS) } });
      const told = toldUnless(await leftWrongServer(controller));
      return goesOn(told, rightLease);
    },
  })),
  {
    fault:
      'the only DHCP server, whose bootstrap server has a thousand boxes before this one (503 for two hours)',
    must: 'hear the others once an hour, ask that server at its own times alone, and come in by it',
    outcome: `named ${WRONG} 2 times; asked 4 times, none too soon; OPERATIONAL`,
    told: waitedFor('bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 503: busy'),
    run: async () => {
      const { box, controller } = bench;
      await leased(WRONG, '127.0.0.1');
      const moments: number[] = [];
      controller.behaviour.sztp = (nonce) => {
        moments.push(box.clock.monotonicMs());
        const busy = { status: 503, headers: { 'retry-after': '2400' } };
        return moments.length > 3 ? bench.good.sztp(nonce) : busy;
      };
      await box.run({ controller, until: 'OPERATIONAL' });
      const named = box.log.filter(
        ({ message, fields }) =>
          message === 'a lease leads nowhere, another DHCP server is asked' && fields['server'] === WRONG,
      );
      const isTooSoon = moments.some((atMs, i) => i > 0 && atMs - (moments[i - 1] ?? 0) < 2_400_000);
      const when = isTooSoon ? 'too soon' : 'none too soon';
      return {
        outcome: `named ${WRONG} ${named.length} times; asked ${moments.length} times, ${when}; ${await stateOf(bench)}`,
        told: toldUnless(box.log.find(saysLeft(WRONG))),
      };
    },
  },
  {
    fault: 'an enrolment server that waits for an approval or a code, for ten minutes',
    must: 'leave nobody: it is waited for',
    outcome: 'named nobody; OPERATIONAL',
    told: 'ENROLLING, waits for its certificate; last problem: bootstrap/pending: The enrolment server waits for an approval of this box (an operator approves the box at the controller); mend: an operator may have to approve this box',
    run: async () => {
      bench.controller.behaviour.enrol = () => ({ status: 202, headers: { 'retry-after': '30' } });
      const told = toldUnless(await leftWrongServer(bench.controller));
      return goesOn(told, bench.mend);
    },
  },
  {
    fault: 'the owner’s server, which signs what this box must refuse',
    must: 'say so, and leave nobody: the lease led there',
    outcome: 'named nobody; OPERATIONAL',
    told: "PROVISIONAL, waits for a bootstrap server to answer with signed data; last problem: pki/mismatch: The onboarding information brings a post-configuration-script, and a box runs no code but its image's (have the owner leave post-configuration-script out); mend: ask the operator whether the controller's inventory has this box, by its serial",
    run: async () => {
      const { controller, good } = bench;
      controller.behaviour.artefacts = (nonce) => ({
        ...good.artefacts(nonce),
        conveyed: conveyedBy(bench, onboarding(ownerOf(bench), { 'post-configuration-script': 'AAAA' })),
      });
      const told = toldUnless(await leftWrongServer(controller));
      return goesOn(told, bench.mend);
    },
  },
  {
    fault: 'the only DHCP server, whose lease leads nowhere for a while',
    must: 'name it, and come in by its lease all the same once that leads somewhere',
    outcome: `named ${WRONG}; OPERATIONAL`,
    told: LEFT,
    run: async () => {
      const told = problemOf(await leftWrongServer(dead()));
      return goesOn(told, () => undefined);
    },
  },
]);
