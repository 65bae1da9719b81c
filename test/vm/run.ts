/**
 * `npm run test:vm`: the image as a box, in a virtual machine beside namespaces, with what takes too long for `npm test`
 * (folders below test/vm). Emulated where KVM starts no kernel.
 */
import { takeNoWords } from '../../image/words.ts';
import { type GateResult, report, runGate } from '../gates.ts';

takeNoWords(`usage: npm run test:vm
  Takes no words, root, and emulated on two cores hours. One test alone, for instance:
  npx vitest run --project vm-long test/vm/update/stick.test.ts (docs/testing.md)
example: npm run test:vm
`);
const results: GateResult[] = [];
for (const name of ['vm-long', 'vm-alone'])
  results.push(await runGate({ name, command: 'vitest', args: ['run', '--project', name], vitest: true }));
process.exitCode = report(results);
