/** Two builds into one directory at once: the second waits, is told for whom and what else it can do, and is let in. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { oneAtATime } from '../../../image/oneAtATime.ts';

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'bbt-out-'));
});
afterEach(() => rmSync(out, { recursive: true }));

it('has the second wait for the first, by whichever name it calls the directory', async () => {
  const order: string[] = [];
  const { promise: inside, resolve: enter } = Promise.withResolvers<void>();
  const { promise: end, resolve: letEnd } = Promise.withResolvers<void>();
  const { promise: told, resolve: tell } = Promise.withResolvers<string>();
  const first = oneAtATime('out', out, tell, async () => {
    enter();
    await end;
    order.push('first');
    return 1;
  });
  await inside;
  const link = `${out}-link`;
  symlinkSync(out, link);
  try {
    const second = oneAtATime('out', link, tell, async () => {
      order.push('second');
      return 2;
    });
    const line = await told;
    expect(line).toContain(`${link} is in use by process ${process.pid} (`);
    expect(line).toMatch(/, since \d{4}-\d\d-\d\dT[\d:]+Z: waiting .*--out DIR$/);
    letEnd();
    expect(await Promise.all([first, second])).toEqual([1, 2]);
    expect(order).toEqual(['first', 'second']);
  } finally {
    rmSync(link);
  }
});

it('has nobody wait in another directory, or for the keys in the same one', async () => {
  const other = mkdtempSync(join(tmpdir(), 'bbt-out-'));
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  try {
    const reached = await oneAtATime('out', out, say, () =>
      oneAtATime('out', other, say, () => oneAtATime('keys', out, say, () => Promise.resolve('all'))),
    );
    expect([reached, said]).toEqual(['all', []]);
  } finally {
    rmSync(other, { recursive: true });
  }
});

it('lets the next in after one that failed, and after a process that was killed', async () => {
  const silent = (): void => {};
  await expect(oneAtATime('out', out, silent, () => Promise.reject(new Error('disk full')))).rejects.toThrow(
    'disk full',
  );
  const script = `const { oneAtATime } = await import(${JSON.stringify(new URL('../../../image/oneAtATime.ts', import.meta.url).href)});
    await oneAtATime('out', ${JSON.stringify(out)}, () => {}, async () => {
      process.stdout.write('in');
      process.stdin.resume();
      await new Promise(() => {});
    });`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const { promise: told, resolve: tell } = Promise.withResolvers<string>();
  const next = oneAtATime('out', out, tell, () => Promise.resolve('let in'));
  expect(await told).toContain(`process ${holder.pid} (`);
  holder.kill('SIGKILL');
  expect(await next).toBe('let in');
});
