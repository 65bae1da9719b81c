/**
 * `npm test`: the fast gates, then everything that needs root, namespaces and real daemons. The virtual machine is made
 * and tested beside the main job, which waits for most of its time, for leases, sessions and timers; not beside the labs,
 * two of which leave a machine that computes half of a processor.
 */
import { FAST_GATES, report, runGate, type Gate, type GateResult } from './gates.ts';

const LABS: readonly Gate[] = [
  // Makes the root tree and installs what the machine lacks, before any test needs it.
  { name: 'lab-set-up', command: './branchbox', args: ['lab', 'prepare'] },
  { name: 'lab-tests', command: 'vitest', args: ['run', '--project', 'lab'], vitest: true },
];
const MAIN_JOB: Gate = {
  name: 'main-job',
  command: 'vitest',
  args: ['run', '--project', 'main-job'],
  vitest: true,
};
const MACHINE: Gate = {
  name: 'vm',
  command: 'vitest',
  args: ['run', '--project', 'vm'],
  vitest: true,
  beside: true,
};

async function inOrder(gates: readonly Gate[]): Promise<readonly GateResult[]> {
  const results: GateResult[] = [];
  for (const gate of gates) results.push(await runGate(gate));
  return results;
}

// The faults take longer than all else, so `npm run check` goes without.
const withFaults = FAST_GATES.map((gate) =>
  gate.vitest === true
    ? { ...gate, args: [...gate.args, '--project', 'faults', '--reporter=./test/faultTable.ts'] }
    : gate,
);
const first = await inOrder([...withFaults, ...LABS]);
const last = await Promise.all([runGate(MAIN_JOB), runGate(MACHINE)]);
process.exitCode = report([...first, ...last]);
