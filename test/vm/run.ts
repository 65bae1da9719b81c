/**
 * `npm run test:vm`: the image as a box, in a virtual machine beside namespaces, with what takes too long for `npm test`
 * (folders below test/vm). Emulated where KVM starts no kernel.
 */
import { type GateResult, report, runGate } from '../gates.ts';

const results: GateResult[] = [];
for (const name of ['vm-long', 'vm-alone'])
  results.push(await runGate({ name, command: 'vitest', args: ['run', '--project', name], vitest: true }));
process.exitCode = report(results);
