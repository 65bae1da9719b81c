/**
 * `npm test`: the fast gates, then everything that needs root, namespaces and real daemons. One gate after the other: beside
 * two labs or the main job a machine has half of a processor, and its box is ended by its own watchdogs; and beside the main
 * job two labs do not end within their time.
 */
import { takeNoWords } from '../image/words.ts';
import { FAST_TESTS, type Gate, report, runEach, runFastHalf, runGate } from './gates.ts';

takeNoWords(`usage: npm test
  Takes no words, and root. The fast half alone: npm run check. One test alone, for instance:
  npx vitest run --project lab test/lab/units.test.ts (docs/testing.md)
example: npm test
`);
// Now, and not behind all that goes without.
if (process.getuid?.() !== 0) {
  process.stderr.write(
    'npm test makes network namespaces, which takes root on Linux\n  mend: run it as root, or what goes without: npm run check\n',
  );
  process.exit(1);
}

/** Makes the trees and installs what the machine lacks: it waits for a mirror, so the fast gates run meanwhile. */
const SET_UP: Gate = { name: 'lab-set-up', command: './branchbox', args: ['lab', 'prepare'] };
const LAB_GATES: readonly Gate[] = [
  { name: 'lab-tests', command: 'vitest', args: ['run', '--project', 'lab'], vitest: true },
  { name: 'main-job', command: 'vitest', args: ['run', '--project', 'main-job'], vitest: true },
  { name: 'vm', command: 'vitest', args: ['run', '--project', 'vm'], vitest: true },
];

// The faults take longer than all else, so `npm run check` goes without.
const withFaults: Gate = {
  ...FAST_TESTS,
  args: [...FAST_TESTS.args, '--project', 'faults', '--reporter=./test/faultTable.ts'],
};
const [settingUp, fast] = await Promise.all([runGate(SET_UP), runFastHalf(withFaults)]);
process.exitCode = report([...fast, settingUp, ...(await runEach(LAB_GATES))]);
