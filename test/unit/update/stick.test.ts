/**
 * A stick that the kernel does not mount, or that gives read errors, as the one who plugged it in is told; the rest is
 * test/lab/firmwareStick.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSticks } from '../../../src/update/stick.ts';

let directory: string;
const at = (...names: readonly string[]): string => join(directory, ...names);
const PLACE = ['devices', 'usb3', '1-2', 'sdb', 'sdb1'];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-stick-'));
  mkdirSync(at(...PLACE), { recursive: true });
  mkdirSync(at('blocks'));
  symlinkSync(at(...PLACE), at('blocks/sdb1'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Where mount fails as it does of FAT that is damaged. */
const open = (duringMount: () => void) =>
  createSticks({
    runner: {
      async run(command) {
        if (command !== 'mount') return { exitCode: 0, stdout: '', stderr: '' };
        duringMount();
        return { exitCode: 32, stdout: '', stderr: 'mount: wrong fs type, bad option, bad superblock' };
      },
    },
    mountPoint: at('stick'),
    ownDevice: '/dev/sda',
    blocks: at('blocks'),
  }).open('sdb1', AbortSignal.timeout(10_000));

it('is refused with what to do', async () => {
  await expect(open(() => {})).rejects.toMatchObject({
    code: 'firmware/source',
    message: expect.stringMatching(
      /damaged and cannot be mounted \(format sdb1 with FAT32, .*another stick\)/,
    ),
  });
});

it('is none any more where it was pulled out meanwhile', async () => {
  expect(await open(() => rmSync(at(...PLACE), { recursive: true }))).toBeUndefined();
});

describe('one that is mounted', () => {
  const mounted = (lookUp: (path: string) => Promise<{ isDirectory(): boolean }>) => {
    const unmounted: string[] = [];
    const opened = createSticks({
      runner: {
        async run(command, words) {
          if (command === 'umount') unmounted.push(String(words.at(-1)));
          return { exitCode: 0, stdout: '', stderr: '' };
        },
      },
      mountPoint: at('stick'),
      ownDevice: '/dev/sda',
      blocks: at('blocks'),
      lookUp,
    }).open('sdb1', AbortSignal.timeout(10_000));
    return { opened, unmounted };
  };
  /** As Node has it. */
  const failing = (code: string) => async (path: string) => {
    throw Object.assign(new Error(`${code}: lstat '${path}'`), { code });
  };

  it('and gives read errors is refused with what to do, and unmounted', async () => {
    const { opened, unmounted } = mounted(failing('EIO'));
    await expect(opened).rejects.toMatchObject({
      code: 'firmware/source',
      message: expect.stringMatching(/read errors.*\(take another stick\): EIO/),
    });
    // Before it, of an earlier one that was left, and behind it.
    expect(unmounted).toEqual([at('stick'), at('stick')]);
  });

  it('and gives read errors since it was pulled out is none any more', async () => {
    const { opened } = mounted(async (path) => {
      rmSync(at(...PLACE), { recursive: true, force: true });
      return failing('EIO')(path);
    });
    expect(await opened).toBeUndefined();
  });

  it('and has no update on it is nobody’s matter', async () => {
    expect(await mounted(failing('ENOENT')).opened).toBeUndefined();
    expect(await mounted(async () => ({ isDirectory: () => false })).opened).toBeUndefined();
  });
});
