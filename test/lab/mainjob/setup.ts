/** Brings the default topology up once for all main-job tests, and takes it down after them. */
import { spawnSync } from 'node:child_process';
import { LAB, root } from './lab.ts';

const run = (...args: string[]) =>
  spawnSync('./branchbox', ['lab', ...args, '--lab', LAB], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  }).status;

export function setup(): void {
  // A developer's own lab may be tested again without waiting for it: BRANCHBOX_TEST_KEEP=1.
  if (process.env['BRANCHBOX_TEST_KEEP'] === '1' && run('status') === 0) return;
  const status = run('up');
  if (status !== 0) throw new Error(`lab up ended with ${status}: no main-job test can run`);
}

export function teardown(): void {
  if (process.env['BRANCHBOX_TEST_KEEP'] === '1') return;
  const status = run('down');
  if (status !== 0) throw new Error(`lab down ended with ${status}`);
}
