/** Brings the topology vm up once for all tests on a virtual machine, and takes it down after them. */
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { root } from '../lab/mainjob/lab.ts';
import { noted } from '../gates.ts';
import { watchMachine } from './hungMachine.ts';
import { BOX } from './update/box.ts';
import { UP_LOG } from './upLog.ts';

/** As in vitest.config.ts: this runs before the tests' environment is set. */
const LAB = process.env['BRANCHBOX_TEST_LAB'] ?? 'vm';
/** What hungMachine.ts does not know of: what the machine says then is on the screen, and at the end of the run. */
const MOST_STARTS = 2;
/** An emulated machine that computes alone takes half of the lab's limit, and hosts are busier than that. */
const PATIENCE = 2;
const SAID_CHARACTERS = 2_500;
const run = (...args: string[]) =>
  spawnSync('./branchbox', ['lab', ...args, '--lab', LAB], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  }).status;

/** Well or not: a machine may be between two starts. */
const isUp = (): boolean =>
  spawnSync('./branchbox', ['lab', 'info', '--lab', LAB], { cwd: root, stdio: 'ignore' }).status === 0;

export async function setup(): Promise<() => void> {
  const unwatch = watchMachine(LAB, BOX);
  // A developer's own lab may be tested again without waiting for it: BRANCHBOX_TEST_KEEP=1.
  if (process.env['BRANCHBOX_TEST_KEEP'] === '1' && isUp()) return unwatch;
  mkdirSync(dirname(UP_LOG), { recursive: true });
  for (let start = 1; ; start += 1) {
    const { status, said } = await up();
    if (status === 0)
      return () => {
        unwatch();
        teardown();
      };
    if (start === MOST_STARTS) throw new Error(`lab up --vm ended with ${status}: no test can run`);
    // Said at the end of the run too, with the machine's last words.
    console.log(noted(`lab up --vm ended with ${status} and is tried again. It had said:\n${said}`));
  }
}

async function up(): Promise<{ readonly status: number; readonly said: string }> {
  const child = spawn('./branchbox', ['lab', 'up', '--vm', '--lab', LAB], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { BRANCHBOX_LAB_PATIENCE: String(PATIENCE), ...process.env },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-SAID_CHARACTERS)));
  // What it says is when the machine came to each stage: tests read it.
  child.stdout.pipe(createWriteStream(UP_LOG));
  child.stdout.pipe(process.stdout, { end: false });
  child.stderr.pipe(process.stderr, { end: false });
  const status = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)));
  return { status, said };
}

function teardown(): void {
  if (process.env['BRANCHBOX_TEST_KEEP'] === '1') return;
  const status = run('down');
  if (status !== 0) throw new Error(`lab down ended with ${status}`);
}
