/**
 * `npm test`: the fast gates, then everything that needs root, namespaces and real daemons. The main job goes beside the
 * labs: both wait for most of their time, for leases, sessions and timers. The virtual machine computes, and is alone: a
 * box that has half of a processor is not at work within its own watchdogs' time.
 */
import { FAST_GATES, report, runGate, type Gate, type GateResult } from './gates.ts';

/** Makes the root tree and installs what the machine lacks, before any test needs it. */
const SET_UP: Gate = { name: 'lab-set-up', command: './branchbox', args: ['lab', 'prepare'] };
const vitest = (name: string, project: string): Gate => ({
  name,
  command: 'vitest',
  args: ['run', '--project', project],
  vitest: true,
});
const LABS = vitest('lab-tests', 'lab');
const MAIN_JOB: Gate = { ...vitest('main-job', 'main-job'), beside: true };
const MACHINE = vitest('vm', 'vm');

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
const labs = await Promise.all([runGate(LABS), runGate(MAIN_JOB)]);
process.exitCode = report([...first, ...labs, await runGate(MACHINE)]);
