/** The frame of a process that is to run on, each held against a real one that ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCrashes } from '../../../src/agent/crashes.ts';
import { createFiles } from '../../../src/system/linux/files.ts';

const LONG_LIVED = join(import.meta.dirname, '../../../src/system/linux/longLived.ts');
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-crash-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** Its work is given as text; it has `signal` and `net`. */
function start(work: string) {
  const script = `
    import net from 'node:net';
    import { runLongLived } from '${LONG_LIVED}';
    const crashes = '${join(directory, 'crashes')}';
    await runLongLived({ name: 'agent', version: '1.2.3', crashes }, async (signal) => { ${work} });
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', script]);
}
async function runIt(work: string, onLine: (kill: () => void) => void = () => {}) {
  const child = start(work);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdout.on('data', () => onLine(() => child.kill('SIGTERM')));
  const [code] = await once(child, 'close');
  return { code: Number(code), stderr };
}
/** A server, and a client that hangs up: what is thrown in the event of that reaches nobody. */
const THROWS_IN_EVENT = `
  const server = net.createServer((socket) => socket.on('close', () => { throw new TypeError('no such peer'); }));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  net.connect(server.address().port, '127.0.0.1', function () { this.destroy(); });
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
`;

describe('an error that reaches nobody', () => {
  it('is one line in the log with its stack, ends the process, and is told by the agent after', async () => {
    const { code, stderr } = await runIt(THROWS_IN_EVENT);
    expect(code).toBe(1);
    const [line = '', ...more] = stderr.trimEnd().split('\n');
    expect(more).toEqual([]);
    expect(JSON.parse(line)).toMatchObject({
      level: 'error',
      name: 'agent',
      version: '1.2.3',
      error: { message: 'no such peer', stack: expect.stringContaining('TypeError') },
    });
    await runIt(
      "void Promise.reject(new Error('again')); await new Promise(() => setInterval(() => {}, 9999))",
    );
    const files = createFiles();
    const crashes = join(directory, 'crashes');
    expect(await readCrashes(files, crashes, Date.now())).toMatchObject([
      { process: 'agent', version: '1.2.3', times: 2, error: 'Error: again' },
    ]);
    expect(await readCrashes(files, crashes, Date.now() + 3_700_000)).toEqual([]);
  });

  it('is told once where it is the end of the work, though other loops go on', async () => {
    const { code, stderr } = await runIt("setInterval(() => {}, 1000); throw new Error('one loop failed')");
    expect(code).not.toBe(0);
    expect(JSON.parse(stderr.split('\n')[0] ?? '')).toMatchObject({ error: { message: 'one loop failed' } });
    expect(await readFile(join(directory, 'crashes/agent.json'), 'utf8')).toContain('one loop failed');
  });
});

it('a process goes on where whoever read its log went away', async () => {
  const work = `
    const { createLogger } = await import('${LONG_LIVED.replace('longLived', 'logger')}');
    const log = createLogger({ name: 'agent' });
    process.stdin.once('data', () => {
      for (let i = 0; i < 3; i += 1) log.info('to nobody');
      setTimeout(() => console.log('lives'), 50);
    });
    log.info('begun');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  `;
  const child = start(work);
  await once(child.stderr, 'data');
  child.stderr.destroy();
  child.stdin.write('go on');
  const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
  expect(String(said)).toBe('lives\n');
  child.kill('SIGTERM');
  await once(child, 'close');
});

it('a process whose work is over ends, whatever is still open, and leaves no record', async () => {
  const work = `
    net.createServer().listen(0, '127.0.0.1', () => console.log('listening'));
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  `;
  expect(await runIt(work, (terminate) => terminate())).toEqual({ code: 0, stderr: '' });
  expect(await readCrashes(createFiles(), join(directory, 'crashes'), Date.now())).toEqual([]);
});

it('a process that is told to end while it waits for something ends well, and leaves no record', async () => {
  const work = `
    net.createServer().listen(0, '127.0.0.1', () => console.log('waits'));
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  `;
  expect(await runIt(work, (terminate) => terminate())).toEqual({ code: 0, stderr: '' });
  expect(await readCrashes(createFiles(), join(directory, 'crashes'), Date.now())).toEqual([]);
});
