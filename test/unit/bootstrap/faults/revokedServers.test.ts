/** Rows of the fault table: servers that the owner revoked, and lists of those that are not to be had or not to be believed. */
import { ownerListsPath } from '../../../../src/bootstrap/paths.ts';
import { readRevocationLists } from '../../../../src/pki/crlVerify.ts';
import { serverNamed } from '../../pki/domain.ts';
import { DAY_MS, HOST, issued, NOW_MS } from '../authorities.ts';
import type { LogLine } from '../box.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { asLists, type Listed, listPem, withLists } from '../revoking.ts';
import { everywhereTo, issueAtTheTimeOf, type Reply, startController } from '../servers.ts';
import { type FaultRow, faultTable, IN_SERVICE, problemOf, type Seen, stateOf, toldBy } from './table.ts';

const bench = createFaultBench();
const ASKED = "when it was asked for the owner's list of revoked servers";
const REVOKED =
  'controller.branchbox.example:PORT showed the certificate "controller.branchbox.example" that its owner revoked 2026-06-01: whoever has its key may be answering in the place of the controller';
const MEND =
  'find out who answers there: a controller whose certificate was revoked has another one since, or makes it at its start';
const SIGNER =
  ' (see whether the signer still has the CA that boxes know: one that was made anew is believed by no box from before)';
const HANDED_OUT = ' (look at what the controller hands out for it: PEM, whole)';
const listed = (change: Partial<Listed> = {}): string => listPem({ by: bench.authorities.domain, ...change });
const serverNumber = (): string => bench.authorities.server.certificate.number;

/** What the owner's server was asked for, beside the list: nothing may be told to it. */
const told = (): number =>
  bench.controller.asked.filter((line) => !/revocation-lists|get-bootstrapping-data/.test(line)).length;

async function atFirst(reply: () => Reply): Promise<Seen> {
  const { box, controller } = bench;
  withLists(bench.authorities, controller);
  const good = controller.behaviour.revocationLists;
  controller.behaviour.revocationLists = reply;
  await box.run({ controller, until: (line) => failed(line) || line.fields['state'] === 'ENROLLING' });
  const line = box.log.findLast(failed);
  const outcome = `${String(line?.fields['code'])} in ${await stateOf(bench)}, told it ${told()} things`;
  // Whatever was wrong, a good list is all that it waits for.
  const revoked = (await box.files.readText(ownerListsPath(box.paths))) !== undefined;
  controller.behaviour.revocationLists = good;
  await box.run({ controller, until: revoked ? failed : 'OPERATIONAL' });
  return { outcome: `${outcome}; then ${await stateOf(bench)}`, told: problemOf(line) };
}

const FIRST: readonly (readonly [string, string, string, () => Reply])[] = [
  [
    'is not there',
    'bootstrap/refused',
    `controller.branchbox.example:PORT over wan1 answered 404 ${ASKED}`,
    () => ({ status: 404 }),
  ],
  [
    'is of another CA',
    'pki/untrusted',
    `The revocation list is not believed: none of the CAs that are believed is its issuer${SIGNER}`,
    () => asLists(listPem({ by: bench.authorities.stranger })),
  ],
  [
    'is signed by another key in the name of the CA',
    'pki/untrusted',
    `The revocation list is not believed: its signature is not of its issuer${SIGNER}`,
    () => {
      const { domain, stranger } = bench.authorities;
      return asLists(listPem({ by: { ...domain, key: stranger.key } }));
    },
  ],
  [
    'ended yesterday',
    'pki/expired',
    `The revocation list ended 2026-05-31T12:00Z, and no newer one was given (check that the signer of the controller runs: it makes a new list in time)`,
    () => asLists(listed({ thisUpdateMs: NOW_MS - 11 * DAY_MS })),
  ],
  [
    'begins tomorrow',
    'pki/expired',
    `The revocation list begins 2026-06-02T12:00Z, and it is 2026-06-01T12:00Z by all that is known here (check the clock of the signer)`,
    () => asLists(listed({ thisUpdateMs: NOW_MS + DAY_MS })),
  ],
  [
    'is a page',
    'pki/malformed',
    `There is none in what came for the owner's list of revoked servers${HANDED_OUT}`,
    () => ({ headers: { 'content-type': 'text/html' }, body: '<html>sign in</html>' }),
  ],
  [
    'is cut short',
    'pki/malformed',
    `What came for the owner's list of revoked servers cannot be read: PEM text ends inside a block${HANDED_OUT}`,
    () => asLists(listed().slice(0, 200)),
  ],
  [
    'is without end',
    'bootstrap/refused',
    `controller.branchbox.example:PORT over wan1 answered with more than 4194304 bytes`,
    () => asLists('x'.repeat(5 * 1024 * 1024)),
  ],
];

faultTable('list of revoked servers, at first', [
  ...FIRST.map(
    ([what, code, problem, reply]): FaultRow => ({
      fault: `it ${what}`,
      must: 'tell its servers nothing, wait, and go on with a good one',
      outcome: `${code} in OWNED, told it 0 things; then OPERATIONAL`,
      told: `${code}: ${problem}`,
      run: () => atFirst(reply),
    }),
  ),
  {
    fault: 'it names the very server that hands it out',
    must: 'refuse that server, tell it nothing, and go on refusing it where it hands out another list',
    outcome: 'pki/untrusted in OWNED, told it 0 things; then OWNED',
    told: `pki/untrusted: ${REVOKED} (${MEND})`,
    run: () => atFirst(() => asLists(listed({ revoked: [serverNumber()], number: 2 }))),
  },
]);

const serviceWithList = async (): Promise<void> => {
  const { authorities, controller, box } = bench;
  withLists(authorities, controller);
  await box.run({ controller, until: 'OPERATIONAL' });
};
const notHad = (line: LogLine): boolean =>
  line.message === "the owner's revocation list could not be renewed";
const isKept = (line: LogLine): boolean => line.message === 'revocation list of the owner kept';
const keptNumber = async (): Promise<number | undefined> => {
  const text = (await bench.box.files.readText(ownerListsPath(bench.box.paths))) ?? '';
  return readRevocationLists(text)[0]?.number;
};
const held = async (line: LogLine | undefined): Promise<string> =>
  `${String(line?.fields['code'])} in ${await stateOf(bench)}, holds list ${await keptNumber()}`;

faultTable('list of revoked servers, in service', [
  {
    fault: 'an older one than the box has (to hide what was revoked since)',
    must: 'refuse it, keep the newer one, tell it, and stay in service',
    outcome: 'pki/untrusted in OPERATIONAL, holds list 5',
    told: `OPERATIONAL, waits for nothing; notice: the owner's revocation list could not be renewed: pki/untrusted: The revocation list is of 2026-06-01 (number 4), and older than the one that this box has, of 2026-06-01 (number 5): somebody may want to hide what was revoked since (find out who answers in the place of the controller: the numbers of its lists never go back); the one that this box has goes on to count, and it is tried again; mend: nothing to do`,
    async run() {
      const { controller, box } = bench;
      withLists(bench.authorities, controller);
      controller.behaviour.revocationLists = () => asLists(listed({ number: 5 }));
      await box.run({ controller, until: 'OPERATIONAL' });
      controller.behaviour.revocationLists = () => asLists(listed({ number: 4 }));
      await box.run({ controller, until: notHad });
      return { outcome: await held(box.log.findLast(notHad)), told: toldBy(box) };
    },
  },
  {
    fault: 'it is overdue, and no new one is to be had',
    must: 'stay in service, hold to the last one, tell it, and go on trying',
    outcome:
      'bootstrap/refused in OPERATIONAL, holds list 1, 2 tries; renewed by the same server: OPERATIONAL, 2 enrolments',
    told: "OPERATIONAL, waits for nothing; notice: the owner's revocation list could not be renewed: bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 503: busy when it was asked for the owner's list of revoked servers; the one that this box has ended 2026-06-11T12:00Z and goes on to count, and it is tried again; mend: nothing to do",
    async run() {
      const { controller, box } = bench;
      await serviceWithList();
      controller.behaviour.revocationLists = () => ({ status: 503 });
      issueAtTheTimeOf(box, bench.authorities, controller);
      box.clock.setMs(NOW_MS + 20 * DAY_MS);
      let tries = 0;
      await box.run({ controller, until: (line) => notHad(line) && (tries += 1) === 2 });
      const outcome = `${await held(box.log.findLast(notHad))}, ${tries} tries`;
      const words = toldBy(box);
      // As strict as ever for all else: its server's certificate is in its time still.
      box.clock.setMs(NOW_MS + 65 * DAY_MS);
      await box.run({ controller, until: 'RENEW' });
      await box.run({ controller, until: 'OPERATIONAL' });
      const end = `${await stateOf(bench)}, ${controller.enrolments.length} enrolments`;
      return { outcome: `${outcome}; renewed by the same server: ${end}`, told: words };
    },
  },
  {
    fault: 'somebody answers with the key of a server that it names',
    must: 'refuse him before anything is sent, whatever list he hands out, and believe the server with its new key',
    outcome:
      'pki/untrusted in RENEW, holds list 2, the impostor was asked 0 things; by the new server OPERATIONAL, 2 enrolments',
    told: `pki/untrusted: ${REVOKED} (${MEND})`,
    async run() {
      const { controller, box, authorities } = bench;
      await serviceWithList();
      // The owner's server has another key, and the list names the one of before.
      const server = issued(authorities.domain, serverNamed(HOST));
      const renewed = await startController({ ...authorities, server });
      try {
        issueAtTheTimeOf(box, authorities, renewed);
        const list = listed({ number: 2, revoked: [serverNumber()], thisUpdateMs: NOW_MS + 60_000 });
        renewed.behaviour.revocationLists = () => asLists(list);
        const by = { ...renewed, connect: everywhereTo(renewed) };
        box.clock.setMs(NOW_MS + DAY_MS);
        await box.run({ controller: by, until: isKept });
        controller.asked.length = 0;
        box.clock.setMs(NOW_MS + 60 * DAY_MS);
        await box.run({ controller, until: 'RENEW' });
        await box.run({ controller, until: failed });
        const line = box.log.findLast(failed);
        const outcome = `${await held(line)}, the impostor was asked ${controller.asked.length} things`;
        await box.run({ controller: by, until: 'OPERATIONAL' });
        const enrolments = controller.enrolments.length + renewed.enrolments.length;
        const end = `${await stateOf(bench)}, ${enrolments} enrolments`;
        return { outcome: `${outcome}; by the new server ${end}`, told: problemOf(line) };
      } finally {
        await renewed.close();
      }
    },
  },
  {
    fault: 'it names the very server that hands it out',
    must: 'keep it, refuse that server from this moment on, tell it, and stay in service',
    outcome: 'pki/untrusted in OPERATIONAL, holds list 2, 0 s later',
    told: `OPERATIONAL, waits for nothing; notice: the owner's revocation list could not be renewed: pki/untrusted: ${REVOKED} (${MEND}); the one that this box has goes on to count, and it is tried again; mend: nothing to do`,
    async run() {
      const { controller, box } = bench;
      await serviceWithList();
      const list = listed({ number: 2, revoked: [serverNumber()], thisUpdateMs: NOW_MS + 60_000 });
      controller.behaviour.revocationLists = () => asLists(list);
      let keptAtMs = 0;
      let passedMs = 0;
      await box.run({
        controller,
        until(line) {
          if (isKept(line)) keptAtMs = box.clock.nowMs();
          passedMs = box.clock.nowMs() - keptAtMs;
          return notHad(line);
        },
      });
      const outcome = `${await held(box.log.findLast(notHad))}, ${passedMs / 1000} s later`;
      return { outcome, told: toldBy(box) };
    },
  },
  {
    fault: 'the disk lost it',
    must: 'stay in service, and have it again at once',
    outcome: 'OPERATIONAL, holds list 1',
    told: IN_SERVICE,
    async run() {
      const { controller, box } = bench;
      await serviceWithList();
      await box.files.writeDurable(ownerListsPath(box.paths), '-----BEGIN X509 CRL-----\nAA');
      await box.run({ controller, until: isKept });
      return { outcome: `${await stateOf(bench)}, holds list ${await keptNumber()}`, told: toldBy(box) };
    },
  },
]);
