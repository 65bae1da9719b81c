/** The ESP as it is mounted, repaired and let go: never by two at once. A directory stands for it; mounting is counted. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { PartFile } from '../../../src/update/ports.ts';
import type { Runner } from '../../../src/system/ports.ts';
import { createEsp, FAT } from '../../../src/update/esp.ts';
import { sha256 } from '../../fakes/firmwareVersion.ts';
import { makeSignedProgram } from '../../fakes/signedProgram.ts';

const NODE = '/dev/esp';
const signal = new AbortController().signal;
let mountPoint: string;
beforeEach(() => {
  mountPoint = mkdtempSync(join(tmpdir(), 'bbt-esp-'));
  mkdirSync(join(mountPoint, 'EFI/Linux'), { recursive: true });
});
afterEach(() => rmSync(mountPoint, { recursive: true }));

/** Says what ran, and what was mounted then; `hold` keeps the first of that name until it is let go. */
function counting(
  options: {
    readonly mountedAtFirst?: boolean;
    readonly hold?: string;
    readonly staysMounted?: boolean;
  } = {},
) {
  const ran: string[] = [];
  let isMounted = options.mountedAtFirst === true;
  let letGo = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let reached = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    reached = resolve;
  });
  let waits = options.hold;
  const run: Runner['run'] = async (command, args) => {
    if (command === waits && (command !== 'umount' || isMounted)) {
      waits = undefined;
      reached();
      await gate;
    }
    const of = command === 'mount' ? ` ${args[3]?.split(',')[0]}` : '';
    if (command !== 'umount' || isMounted) ran.push(`${command}${of}${isMounted ? ' while mounted' : ''}`);
    if (command === 'mount') isMounted = true;
    if (command === 'umount' && options.staysMounted === true && isMounted) throw new Error('target is busy');
    if (command === 'umount') isMounted = false;
    return { exitCode: 0, stdout: '', stderr: '' };
  };
  const runner: Runner = {
    run,
    runChecked: async (...words) => (await run(...words)).stdout,
    follow: async () => Promise.reject(new Error('nothing is followed')),
  };
  return { esp: createEsp({ runner, mountPoint, fileSystem: FAT }), ran, held, letGo };
}

const bytes = Buffer.from('a boot entry');
const part = { role: 'uki', file: 'x.efi', sizeBytes: bytes.length, sha256: sha256(bytes) } as const;
const from: PartFile = {
  read: async (offset, length) => bytes.subarray(offset, offset + length),
  write: async () => undefined,
  sync: async () => undefined,
  close: async () => undefined,
};
const FILE = 'branchbox_1.1.0+2.efi';

/** Of what waits for nobody but the file system. */
async function asFarAsItComes(): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await stat(mountPoint);
}

it('a boot entry is placed on a file system that was repaired, and read back from the medium', async () => {
  const { esp, ran } = counting();
  writeFileSync(join(mountPoint, 'FSCK0000.REC'), 'lost');
  await esp.place(NODE, FILE, from, part, signal);
  expect(ran).toEqual([
    'fsck.fat',
    'mount rw',
    'umount while mounted',
    'blockdev',
    'mount ro',
    'umount while mounted',
    'mount rw',
    'umount while mounted',
  ]);
  expect(readdirSync(mountPoint)).toEqual(['EFI']);
  expect(readdirSync(join(mountPoint, 'EFI/Linux'))).toEqual([FILE]);
});

it('what a write that was cut left there is told with its size', async () => {
  writeFileSync(join(mountPoint, 'EFI/Linux/.branchbox.new'), Buffer.alloc(77));
  expect((await counting().esp.read(NODE, signal)).leftovers).toEqual([
    { file: '.branchbox.new', sizeBytes: 77 },
  ]);
});

it('has no entries where nobody made their directory yet, and is told where that cannot be read', async () => {
  rmSync(join(mountPoint, 'EFI/Linux'), { recursive: true });
  expect((await counting().esp.read(NODE, signal)).entries).toEqual([]);
  // As a FAT that lost it.
  writeFileSync(join(mountPoint, 'EFI/Linux'), '');
  const { esp, ran } = counting();
  await expect(esp.read(NODE, signal)).rejects.toMatchObject({
    code: 'firmware/disk',
    message: expect.stringMatching(/^the ESP \/dev\/esp failed: .*ENOTDIR/),
  });
  expect(ran).toEqual(['mount ro', 'umount while mounted']);
});

it('nothing is repaired while a read-out has it mounted', async () => {
  const { esp, ran, held, letGo } = counting({ hold: 'umount' });
  const reading = esp.read(NODE, signal);
  await held;
  const placing = esp.place(NODE, FILE, from, part, signal);
  await asFarAsItComes();
  expect(ran).toEqual(['mount ro']);
  letGo();
  await Promise.all([reading, placing]);
  expect(ran.slice(0, 4)).toEqual(['mount ro', 'umount while mounted', 'fsck.fat', 'mount rw']);
});

it('nothing has it mounted while it is repaired', async () => {
  const { esp, ran, held, letGo } = counting({ hold: 'fsck.fat' });
  const placing = esp.place(NODE, FILE, from, part, signal);
  await held;
  const reading = esp.read(NODE, signal);
  await asFarAsItComes();
  expect(ran).toEqual([]);
  letGo();
  await Promise.all([reading, placing]);
  expect(ran).not.toContain('fsck.fat while mounted');
});

it('where a change failed, that is told, whatever unmounting says after it', async () => {
  const { esp } = counting({ staysMounted: true });
  const short: PartFile = { ...from, read: async () => Buffer.alloc(0) };
  await expect(esp.place(NODE, FILE, short, part, signal)).rejects.toThrow(
    'the staged boot entry is too short',
  );
});

it('an ESP that cannot be let go after a change is told', async () => {
  const { esp } = counting({ staysMounted: true });
  await expect(esp.remove(NODE, [FILE], signal)).rejects.toThrow('target is busy');
});

it('what an agent that was killed left mounted is let go before it is repaired', async () => {
  const { esp, ran } = counting({ mountedAtFirst: true });
  await esp.place(NODE, FILE, from, part, signal);
  expect(ran.slice(0, 3)).toEqual(['umount while mounted', 'fsck.fat', 'mount rw']);
});

it('a change that failed does not keep the next from its turn', async () => {
  const { esp, ran } = counting();
  const short: PartFile = { ...from, read: async () => Buffer.alloc(0) };
  const placing = esp.place(NODE, FILE, short, part, signal);
  const reading = esp.read(NODE, signal);
  await expect(placing).rejects.toMatchObject({ code: 'firmware/disk' });
  expect((await reading).entries).toEqual([]);
  expect(ran.at(-1)).toBe('umount while mounted');
});

const WHOLE = makeSignedProgram('a'.repeat(64), []);
const EMPTY = Buffer.alloc(0);
const HALF = { kept: 'branchbox_1.1.0.efi', other: 'branchbox_1.1.0+0-1.efi' };
it.each<[string, Buffer, Buffer]>([
  ['the committed name', WHOLE, EMPTY],
  ['the counted name', EMPTY, WHOLE],
  ['both, as on a file system that shares nothing', WHOLE, WHOLE],
])('of an entry whose bytes a repair left to %s the committed name stays', async (_, committed, counted) => {
  const { esp, ran } = counting();
  const folder = join(mountPoint, 'EFI/Linux');
  writeFileSync(join(folder, HALF.kept), committed);
  writeFileSync(join(folder, HALF.other), counted);
  await esp.keepOneName(NODE, HALF, signal);
  // Before anything is removed: one name less would free what the other stands for.
  expect(ran).toEqual(['fsck.fat', 'mount rw', 'umount while mounted']);
  expect(readdirSync(folder)).toEqual([HALF.kept]);
  expect(readFileSync(join(folder, HALF.kept)).equals(WHOLE)).toBe(true);
});

it('of an entry of which no name has the bytes nothing is taken', async () => {
  const folder = join(mountPoint, 'EFI/Linux');
  for (const name of Object.values(HALF)) writeFileSync(join(folder, name), EMPTY);
  await counting().esp.keepOneName(NODE, HALF, signal);
  expect(readdirSync(folder)).toHaveLength(2);
});
