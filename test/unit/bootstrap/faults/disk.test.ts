/** Rows of the fault table: what a box finds damaged, lost or from an earlier life on its own disk. */
import { createFaultBench, failed } from '../faultBench.ts';
import { type FaultRow, faultTable, IN_SERVICE, type Seen, stateOf, toldBy } from './table.ts';

const bench = createFaultBench();
const path = (name: string): string => `${bench.box.paths.state}/${name}`;
const read = (name: string): Promise<string | undefined> => bench.box.files.readText(path(name));
const write = (name: string, text: string): Promise<void> => bench.box.files.writeDurable(path(name), text);
const run = (until: Parameters<typeof bench.box.run>[0]['until']): Promise<boolean> =>
  bench.box.run({ controller: bench.controller, until });

async function standing(): Promise<Seen> {
  const failures = bench.box.log.filter(failed).length;
  const state = await stateOf(bench);
  return {
    outcome: `${state}, ${bench.controller.enrolments.length} enrolments, ${failures} failures`,
    told: toldBy(bench.box),
  };
}
const row = (fault: string, must: string, outcome: string, arrange: () => Promise<void>): FaultRow => ({
  fault,
  must,
  outcome,
  told: IN_SERVICE,
  run: async () => {
    await arrange();
    await run((line) => failed(line) || line.fields['state'] === 'OPERATIONAL');
    return standing();
  },
});

const ONCE = 'OPERATIONAL, 1 enrolments, 0 failures';
const journal = (fault: string, text: string): FaultRow =>
  row(
    `the journal ${fault}`,
    'put it aside, and go on from the files beside it',
    `${ONCE}, put aside, from LDEVID`,
    async () => {
      await run('LDEVID');
      await write('journal.json', text);
    },
  );
const withJournal = ({ run: plain, ...rest }: FaultRow, text: string): FaultRow => ({
  ...rest,
  run: async () => {
    const { outcome, told } = await plain();
    const aside = (await read('journal.json.damaged')) === text ? ', put aside' : '';
    const first = JSON.parse((await read('journal.json')) ?? '{}').entries?.[0]?.state;
    return { outcome: `${outcome}${aside}, from ${first}`, told };
  },
});
const damaged: readonly (readonly [string, string])[] = [
  ['is not JSON', '{"schema":1,"entries":['],
  ['is empty', ''],
  ['is of no schema', '{"schema":9}'],
];

faultTable('disk', [
  row('half of a key was written', 'make a new key', ONCE, async () => {
    await run('ENROLLING');
    await write('ldevid.key', '-----BEGIN PRIVATE KEY-----\nMIGHAgEA');
  }),
  row(
    'half of a certificate was written',
    'enrol again, with the same key',
    'OPERATIONAL, 2 enrolments, 0 failures',
    async () => {
      await run('LDEVID');
      const whole = (await read('ldevid.crt')) ?? '';
      await write('ldevid.crt', whole.slice(0, whole.length / 2));
    },
  ),
  row('the certificate of another box', 'enrol again', 'OPERATIONAL, 2 enrolments, 0 failures', async () => {
    await run('LDEVID');
    await write('ldevid.crt', bench.authorities.idevid.certificate.pem);
  }),
  ...damaged.map(([fault, text]) => withJournal(journal(fault, text), text)),
  row('the owner record is lost', 'ask again who owns it', ONCE, async () => {
    await run('ENROLLING');
    await bench.box.files.remove(path('pending-owner.json'));
  }),
  row('the clock floor is nonsense', 'begin at its build time', ONCE, async () => {
    await write('clock-floor', '99999999999999999999');
  }),
  row(
    'reset to factory state, the same record',
    'enrol again under its factory identity',
    'OPERATIONAL, 2 enrolments, 0 failures',
    async () => {
      await run('OPERATIONAL');
      for (const name of await bench.box.files.list(bench.box.paths.state))
        await bench.box.files.remove(path(name));
      bench.box.log.length = 0;
    },
  ),
  {
    fault: 'the power goes while it is reset, half of its files are gone',
    must: 'be wiped on, ask nobody anything, and be new in the end',
    outcome: 'WIPE, 1 enrolments, 0 failures; then FACTORY, 2 enrolments',
    told: 'WIPE, waits for the end of a factory reset, which erases its data; mend: leave it plugged in: it starts again by itself, as on its first day',
    run: async () => {
      await run('OPERATIONAL');
      const { resetMarks, state } = bench.box.paths;
      for (const mark of resetMarks) await bench.box.files.writeDurable(mark, 'button 1780000000');
      for (const name of ['owner.json', 'ldevid.key']) await bench.box.files.remove(path(name));
      await run('WIPE');
      const seen = await standing();
      for (const name of [...(await bench.box.files.list(state)).map(path), ...resetMarks])
        await bench.box.files.remove(name);
      await run('OPERATIONAL');
      const first = JSON.parse((await read('journal.json')) ?? '{}').entries?.[0]?.state;
      return {
        ...seen,
        outcome: `${seen.outcome}; then ${first}, ${bench.controller.enrolments.length} enrolments`,
      };
    },
  },
]);
