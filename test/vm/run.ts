/** `npm run test:vm`: the image as a box, in a virtual machine beside namespaces. Emulated where KVM starts no kernel. */
import { type GateResult, report, runGate } from '../gates.ts';

// The second is no part of `npm test`: its machines start many times, emulated.
const results: GateResult[] = [];
for (const name of ['vm', 'vm-alone'])
  results.push(await runGate({ name, command: 'vitest', args: ['run', '--project', name], vitest: true }));
process.exitCode = report(results);
