/** `npm test`: the fast gates, then everything that needs root, namespaces and real daemons. */
import { FAST_GATES, report, runGate, type Gate, type GateResult } from './gates.ts';

const LAB_GATES: readonly Gate[] = [
  // Makes the root tree and installs what the machine lacks, before any test needs it.
  { name: 'lab-set-up', command: './branchbox', args: ['lab', 'prepare'] },
  { name: 'lab-tests', command: 'vitest', args: ['run', '--project', 'lab'], vitest: true },
  { name: 'main-job', command: 'vitest', args: ['run', '--project', 'main-job'], vitest: true },
  { name: 'vm', command: 'vitest', args: ['run', '--project', 'vm'], vitest: true },
];

const results: GateResult[] = [];
// Coverage costs a third of the time, and the faults take longer than all else: `npm run check` goes without.
const covered = FAST_GATES.map((gate) =>
  gate.vitest === true
    ? {
        ...gate,
        args: [...gate.args, '--project', 'faults', '--coverage', '--reporter=./test/faultTable.ts'],
      }
    : gate,
);
for (const gate of [...covered, ...LAB_GATES]) results.push(await runGate(gate));
process.exitCode = report(results);
