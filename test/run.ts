/**
 * `npm test`: the fast gates, then everything that needs root, namespaces and real daemons. One gate after the other: beside
 * two labs or the main job a machine has half of a processor, and its box is ended by its own watchdogs; and beside the main
 * job two labs do not end within their time.
 */
import { FAST_GATES, report, runGate, type Gate, type GateResult } from './gates.ts';

/** Makes the trees and installs what the machine lacks: it waits for a mirror, so the fast gates run meanwhile. */
const SET_UP: Gate = { name: 'lab-set-up', command: './branchbox', args: ['lab', 'prepare'] };
const LAB_GATES: readonly Gate[] = [
  { name: 'lab-tests', command: 'vitest', args: ['run', '--project', 'lab'], vitest: true },
  { name: 'main-job', command: 'vitest', args: ['run', '--project', 'main-job'], vitest: true },
  { name: 'vm', command: 'vitest', args: ['run', '--project', 'vm'], vitest: true },
];

// The faults take longer than all else, so `npm run check` goes without.
const withFaults = FAST_GATES.map((gate) =>
  gate.vitest === true
    ? { ...gate, args: [...gate.args, '--project', 'faults', '--reporter=./test/faultTable.ts'] }
    : gate,
);
const results: GateResult[] = [];
const settingUp = runGate(SET_UP);
for (const gate of withFaults) results.push(await runGate(gate));
results.push(await settingUp);
for (const gate of LAB_GATES) results.push(await runGate(gate));
process.exitCode = report(results);
