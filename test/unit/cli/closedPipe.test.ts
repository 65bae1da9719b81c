/** A read-out whose reader has gone, as a shell runs it: real pipes, a real process. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';

const ROOT = new URL('../../..', import.meta.url).pathname;
const help = [process.execPath, 'src/cli/main.ts', 'lab', '--help'] as const;

it('ends without a word where the reader has closed the pipe', async () => {
  const [node, ...words] = help;
  const child = spawn(node, words, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  // Before it has written: a process takes longer to start.
  child.stdout.destroy();
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  expect({ code, said }).toEqual({ code: 141, said: '' });
});

it('says in a line what else hinders its output', () => {
  const shell = spawnSync('/bin/sh', ['-c', `exec "$@" > /dev/full`, 'sh', ...help], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect(shell.status).toBe(1);
  expect(shell.stderr).toMatch(/^branchbox: the output cannot be written: .*ENOSPC.*\n$/);
});
