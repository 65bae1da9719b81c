/**
 * The Linux side of the ports (runner, files, logger, services), held against real processes and a real file
 * system.
 */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../src/model/secret.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import { parseShow } from '../../../src/system/linux/services.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'branchbox-test-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('runner', () => {
  const runner = createRunner();

  it('gives exit code and both outputs, and passes secrets on standard input', async () => {
    const result = await runner.run('sh', ['-c', 'cat; echo err >&2; exit 3'], { stdin: new Secret('key') });
    expect(result).toEqual({ exitCode: 3, stdout: 'key', stderr: 'err\n' });
  });

  it('names the last words of a command that failed', async () => {
    await expect(runner.runChecked('sh', ['-c', 'echo no such bridge >&2; exit 2'])).rejects.toMatchObject({
      code: 'system/command-failed',
      message: expect.stringContaining('no such bridge'),
    });
  });

  it('says which program is missing', async () => {
    await expect(runner.run('no-such-program', [])).rejects.toMatchObject({ code: 'system/missing-tool' });
  });

  it('ends a command that takes too long, writes too much, or is no longer wanted', async () => {
    await expect(runner.run('sleep', ['60'], { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'system/command-timeout',
    });
    await expect(runner.run('yes', [], { maxOutputBytes: 1000 })).rejects.toMatchObject({
      message: expect.stringContaining('more than 1000 bytes'),
    });
    const controller = new AbortController();
    const running = runner.run('sleep', ['60'], { signal: controller.signal });
    controller.abort();
    await expect(running).rejects.toMatchObject({ message: expect.stringContaining('stopped') });
  });

  it('does not wait for what a command left behind with its output', async () => {
    const pidPath = join(directory, 'pid');
    const script = `sleep 60 & echo $! > ${pidPath}`;
    await expect(runner.run('sh', ['-c', script], { timeoutMs: 200 })).rejects.toMatchObject({
      code: 'system/command-timeout',
    });
    process.kill(Number(await readFile(pidPath, 'utf8')));
  });

  it('follows line by line until told to stop', async () => {
    const controller = new AbortController();
    const lines: string[] = [];
    await runner.follow(
      'sh',
      ['-c', 'echo one; echo two; exec sleep 60'],
      (line) => {
        lines.push(line);
        if (lines.length === 2) controller.abort();
      },
      controller.signal,
    );
    expect(lines).toEqual(['one', 'two']);
  });
});

describe('files', () => {
  const files = createFiles();

  it('writes durably with the mode asked for, leaving nothing beside it', async () => {
    const path = join(directory, 'a', 'key');
    await files.writeDurable(path, 'first');
    await files.writeDurable(path, 'second', 0o640);
    expect(await files.readText(path)).toBe('second');
    expect((await stat(path)).mode & 0o777).toBe(0o640);
    expect(await readdir(join(directory, 'a'))).toEqual(['key']);
  });

  it('writes what is to be there once, and leaves what is there', async () => {
    const path = join(directory, 'below', 'once');
    expect(await files.writeFirst(path, 'first', 0o640)).toBe(true);
    expect(await files.writeFirst(path, 'second')).toBe(false);
    expect([await files.readText(path), (await stat(path)).mode & 0o777]).toEqual(['first', 0o640]);
    expect(await files.list(join(directory, 'below'))).toEqual(['once']);
  });

  it('makes the directories that a file lies in, and refuses where there can be none', async () => {
    const path = join(directory, 'one', 'two', 'three', 'key');
    await files.writeDurable(path, 'first');
    expect(await files.readText(path)).toBe('first');
    await writeFile(join(directory, 'file'), '');
    // /proc says ENOENT of a name that nobody can make.
    for (const place of ['/proc/branchbox', '/proc/branchbox/below', join(directory, 'file/below')]) {
      await expect(files.writeDurable(join(place, 'key'), 'first')).rejects.toMatchObject({
        code: 'system/file',
        message: expect.stringContaining(`${place}/key cannot be written`),
      });
    }
  });

  it('tells a missing file from one that is too large', async () => {
    expect(await files.readText(join(directory, 'none'))).toBeUndefined();
    expect(await files.list(join(directory, 'none'))).toEqual([]);
    await files.remove(join(directory, 'none'));
    await writeFile(join(directory, 'big'), 'x'.repeat(200_000));
    await expect(files.readText(join(directory, 'big'), 1000)).rejects.toMatchObject({ code: 'system/file' });
    expect((await files.readText(join(directory, 'big')))?.length).toBe(200_000);
  });

  it('never makes a kernel file that is not there', async () => {
    await expect(files.writeKernel(join(directory, 'knob'), '1')).rejects.toMatchObject({
      code: 'system/file',
    });
    expect(await readdir(directory)).toEqual([]);
  });

  it('tells of a change in a watched directory', async () => {
    const controller = new AbortController();
    const path = join(directory, 'watched');
    let changes = 0;
    files.watch(path, () => (changes += 1), controller.signal);
    // The watch makes the directory; only what happens after that is told.
    await expect.poll(() => readdir(directory)).toEqual(['watched']);
    await expect
      .poll(async () => {
        await writeFile(join(path, 'wan1.env'), String(changes));
        return changes;
      })
      .toBeGreaterThan(0);
    controller.abort();
  });
});

describe('a watch that the kernel does not give', () => {
  it('is tried again, and ends nothing', async () => {
    // In a user namespace of its own, where the kernel grants no inotify instance until it is told to.
    const limit = '/proc/sys/user/max_inotify_instances';
    const script = `
      import { mkdirSync, writeFileSync } from 'node:fs';
      import { createFiles } from '${join(import.meta.dirname, '../../../src/system/linux/files.ts')}';
      const ending = new AbortController();
      const path = '${join(directory, 'watched')}';
      const writing = setInterval(() => {
        mkdirSync(path, { recursive: true });
        writeFileSync(path + '/lease', 'x');
      }, 50);
      createFiles().watch(path, () => {
        console.log('changed');
        clearInterval(writing);
        ending.abort();
      }, ending.signal);
      setTimeout(() => writeFileSync('${limit}', '10'), 200);
    `;
    const words = ['--user', '--map-root-user', 'sh', '-c', `echo 0 > ${limit}; exec "$@"`, 'sh'];
    const node = [process.execPath, '--input-type=module', '-e', script];
    const told = await createRunner().runChecked('unshare', [...words, ...node]);
    expect(told).toBe('changed\n');
  });
});

describe('logger', () => {
  it('prints one line of JSON and no secret', () => {
    const lines: string[] = [];
    const log = createLogger({ name: 'agent', write: (line) => lines.push(line) });
    log.debug('not printed');
    log.info('key made', { key: new Secret('private'), nested: { key: new Secret('private') } });
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      name: 'agent',
      message: 'key made',
      key: '[redacted]',
    });
    expect(lines[0]).not.toContain('private');
  });
});

describe('parseShow', () => {
  it('reads units, and leaves out what is not loaded', () => {
    const text = `Id=dhcpcd@wan1.service
LoadState=loaded
ActiveState=active
MainPID=41
NRestarts=2

MainPID=0
NRestarts=0
Id=dhcpcd@.service
LoadState=not-found
ActiveState=inactive
`;
    expect(parseShow(text)).toEqual([
      { unit: 'dhcpcd@wan1.service', active: true, mainPid: 41, restarts: 2 },
    ]);
  });
});
