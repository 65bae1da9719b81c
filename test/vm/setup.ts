/** Brings the topology vm up once for all tests on a virtual machine, and takes it down after them. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const run = (...args: string[]) =>
  spawnSync('./branchbox', ['lab', ...args, '--lab', 'vm'], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'inherit', 'inherit'],
  }).status;

export function setup(): void {
  // A developer's own lab may be tested again without waiting for it: BRANCHBOX_TEST_KEEP=1.
  if (process.env['BRANCHBOX_TEST_KEEP'] === '1' && run('status') === 0) return;
  const status = run('up', '--vm');
  if (status !== 0) throw new Error(`lab up --vm ended with ${status}: no test on a virtual machine can run`);
}

export function teardown(): void {
  if (process.env['BRANCHBOX_TEST_KEEP'] === '1') return;
  const status = run('down');
  if (status !== 0) throw new Error(`lab down ended with ${status}`);
}
