/**
 * `npm test`: the fast gates, then everything that needs root, namespaces and real daemons. The virtual machine is made
 * and tested beside the labs: those wait for most of their time, for leases, sessions and timers, and it computes.
 */
import { FAST_GATES, report, runGate, type Gate, type GateResult } from './gates.ts';

/** Makes the root tree and installs what the machine lacks, before any test needs it. */
const SET_UP: Gate = { name: 'lab-set-up', command: './branchbox', args: ['lab', 'prepare'] };
const LABS: readonly Gate[] = [
  { name: 'lab-tests', command: 'vitest', args: ['run', '--project', 'lab'], vitest: true },
  { name: 'main-job', command: 'vitest', args: ['run', '--project', 'main-job'], vitest: true },
];
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
const first = await inOrder([...withFaults, SET_UP]);
const [labs, machine] = await Promise.all([inOrder(LABS), runGate(MACHINE)]);
process.exitCode = report([...first, ...labs, machine]);
