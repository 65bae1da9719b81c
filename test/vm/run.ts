/** `npm run test:vm`: the image as a box, in a virtual machine beside namespaces. Emulated where KVM starts no kernel. */
import { report, runGate } from '../gates.ts';

const result = await runGate({
  name: 'vm',
  command: 'vitest',
  args: ['run', '--project', 'vm'],
  vitest: true,
});
process.exitCode = report([result]);
