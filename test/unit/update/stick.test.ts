/** A stick that the kernel does not mount, as the one who plugged it in is told; the rest is test/lab/firmwareStick. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
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
