/** A stick as the agent reads it: a real file system on a block device, mounted and let go by the real tools. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRunner } from '../../src/system/linux/runner.ts';
import { createSticks } from '../../src/update/stick.ts';
import { ESP_FILE_SYSTEM } from './firmwareWorld.ts';

const signal = AbortSignal.timeout(120_000);
const run = (command: string, ...words: string[]): string =>
  execFileSync(command, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    .toString()
    .trim();

describe('a stick', () => {
  let directory: string;
  let loop: string;
  const at = (...names: string[]): string => join(directory, ...names);
  const sticks = (ownDevice = '/dev/other') =>
    createSticks({
      runner: createRunner(),
      mountPoint: at('stick'),
      ownDevice,
      fileSystem: ESP_FILE_SYSTEM,
      blocks: at('blocks'),
    });
  /** Puts it at a place in the machine; the kernel's own tree has no USB here. */
  const plugInto = (bus: string): void => {
    const place = at(bus, '1-2', basename(loop));
    mkdirSync(place, { recursive: true });
    mkdirSync(at('blocks'), { recursive: true });
    symlinkSync(place, at('blocks/sdb'));
  };
  const make = (script: string): void => {
    run(ESP_FILE_SYSTEM.make[0] ?? '', ...ESP_FILE_SYSTEM.make.slice(1), loop);
    const inside = `mkdir -p "$1"; mount -t ${ESP_FILE_SYSTEM.type} ${loop} "$1"; cd "$1"; ${script}; cd /; umount "$1"`;
    run('unshare', '--mount', '--propagation', 'private', 'sh', '-euc', inside, 'sh', at('making'));
  };
  const mounts = (): string => run('cat', '/proc/self/mounts');

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-stick-'));
    writeFileSync(at('image'), '');
    run('truncate', '-s', '64M', at('image'));
    loop = run('losetup', '--find', '--show', at('image'));
  });
  afterEach(() => {
    run('sh', '-c', `! grep -q " ${at('stick')} " /proc/self/mounts || umount -l "${at('stick')}"`);
    run('losetup', '--detach', loop);
    rmSync(directory, { recursive: true });
  });

  test('is mounted only while it is read, and nothing of it can be run or written', async () => {
    plugInto('usb3');
    make(
      'mkdir -p branchbox/update; echo manifest >branchbox/update/v.update.jws; echo root >branchbox/update/root',
    );
    const stick = await sticks().open('sdb', signal);
    expect(stick?.manifest).toBe('manifest\n');
    const line = mounts()
      .split('\n')
      .find((each) => each.includes(` ${at('stick')} `));
    expect(line?.split(' ')[3]?.split(',')).toEqual(
      expect.arrayContaining(['ro', 'nosuid', 'nodev', 'noexec']),
    );
    const part = { role: 'root', file: 'root', sizeBytes: 5, sha256: '' } as const;
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await stick?.source.open(part, 0, signal))?.chunks ?? []) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe('root\n');
    await stick?.close();
    expect(mounts()).not.toContain(at('stick'));
    // Once more: as after a box that lost its agent meanwhile.
    await sticks().open('sdb', signal);
    expect(await sticks().open('sdb', signal)).toBeDefined();
  });

  test.each([
    ['that holds no update', 'mkdir branchbox'],
    ['whose folder is none', 'mkdir branchbox; echo x >branchbox/update'],
  ])('%s is not for us', async (_, script) => {
    plugInto('usb3');
    make(script);
    expect(await sticks().open('sdb', signal)).toBeUndefined();
    expect(mounts()).not.toContain(at('stick'));
  });

  test('that cannot be mounted is told, and the box’s own disk is not for us', async () => {
    plugInto('usb3');
    await expect(sticks().open('sdb', signal)).rejects.toThrow(/cannot be mounted/);
    make('mkdir -p branchbox/update; echo manifest >branchbox/update/v.update.jws');
    expect(await sticks(loop).open('sdb', signal)).toBeUndefined();
  });

  test('that cannot be taken is let go, with a sentence', async () => {
    plugInto('usb3');
    make('mkdir -p branchbox/update; touch branchbox/update/a.update.jws branchbox/update/b.update.jws');
    await expect(sticks().open('sdb', signal)).rejects.toThrow(/holds 2 manifests/);
    expect(mounts()).not.toContain(at('stick'));
    await expect(sticks().open('../sdb', signal)).rejects.toThrow(/no name of a stick/);
    await expect(sticks().open('sdc', signal)).rejects.toThrow(/there is no stick sdc/);
  });

  test('is a disk on USB and no other', async () => {
    plugInto('ata1');
    make('mkdir -p branchbox/update; echo manifest >branchbox/update/v.update.jws');
    await expect(sticks().open('sdb', signal)).rejects.toThrow(/not on USB/);
  });
});
