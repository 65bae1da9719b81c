/** An update whose disk does not give back what was put there: begun anew, bounded, and then told of. */
import { describe, expect, it } from 'vitest';
import { BranchboxError } from '../../../src/model/errors.ts';
import type { PartRole } from '../../../src/model/firmware.ts';
import { type InstallParts, install } from '../../../src/update/install.ts';
import type { FirmwareDisk, PartFile, PartSource } from '../../../src/update/ports.ts';
import { createFakeFirmwareDisk } from '../../fakes/firmwareDisk.ts';
import { createFakeSource } from '../../fakes/firmwareSource.ts';
import { makeVersion } from '../../fakes/firmwareVersion.ts';
import { NOW_MS } from '../pki/domain.ts';
import { OLD, useUpdaterBoxes, wantedOf } from './updaterBox.ts';

const NEW = makeVersion('1.1.0', { builtAtMs: NOW_MS });
const signal = new AbortController().signal;
const { box } = useUpdaterBoxes();

/** What is wrong with the place of one part. */
interface Fault {
  readonly role: PartRole;
  /** From this byte on it cannot be read, or reads otherwise. */
  readonly fromByte: number;
  readonly how: 'unreadable' | 'altered' | 'short';
  /** A sector that is written anew is often another one. */
  readonly mendedByWrite: boolean;
}

/** A disk that has come by a fault; `fault` set to undefined is none. */
function faulty(disk: FirmwareDisk) {
  const state: { fault: Fault | undefined } = { fault: undefined };
  const wrap = (role: PartRole, file: PartFile): PartFile => ({
    ...file,
    async read(offset, length) {
      const { fault } = state;
      if (fault?.role !== role || offset + length <= fault.fromByte) return file.read(offset, length);
      if (fault.how === 'unreadable')
        throw new BranchboxError('firmware/disk', { message: `/dev/${role} cannot be read: EIO` });
      const bytes = Buffer.from(await file.read(offset, length));
      if (fault.how === 'short') return bytes.subarray(0, Math.max(0, fault.fromByte - offset));
      return bytes.fill(0xee, Math.max(0, fault.fromByte - offset));
    },
    async write(offset, bytes) {
      const { fault } = state;
      const covers = fault?.role === role && offset <= fault.fromByte;
      if (covers && fault.mendedByWrite) state.fault = undefined;
      return file.write(offset, bytes);
    },
  });
  return {
    state,
    disk: {
      ...disk,
      openSlot: async (slot, role, limit) => wrap(role, await disk.openSlot(slot, role, limit)),
      openStaged: async (limit) => wrap('uki', await disk.openStaged(limit)),
    } satisfies FirmwareDisk,
  };
}

function world(drops: readonly number[] = []) {
  const fake = createFakeFirmwareDisk(OLD, [OLD, NEW]);
  const { disk, state } = faulty(fake.disk);
  const asked: string[] = [];
  const inner = createFakeSource(NEW, 100, drops);
  const source: PartSource = {
    name: inner.name,
    open: (part, from, limit) => {
      asked.push(`${part.role} ${from}`);
      return inner.open(part, from, limit);
    },
  };
  const run = (change: Partial<InstallParts> = {}) =>
    install(
      {
        disk,
        progress: fake.progress,
        source,
        pace: async () => {},
        sizes: { writeBytes: 100, syncBytes: 200 },
        allowDowngrade: false,
        onStep: () => {},
        beforeEntry: async () => {},
        ...change,
      },
      NEW.target,
      signal,
    );
  return { fake, disk, state, asked, run };
}

const HOWS = ['unreadable', 'altered', 'short'] as const;

describe('a part of which something stood before', () => {
  it.each(HOWS)('and is %s now begins anew', async (how) => {
    const { fake, state, asked, run } = world([2000]);
    await expect(run()).rejects.toThrow(/the line went dead/);
    state.fault = { role: 'root', fromByte: 1500, how, mendedByWrite: true };
    expect(await run()).toBe('ready');
    // Where it reads otherwise, that is told by all of it.
    const goneOn = how === 'altered' ? ['root 2000'] : [];
    expect(asked).toEqual(['root 0', ...goneOn, 'root 0', 'verity 0', 'uki 0']);
    expect(fake.faults()).toEqual([]);
    expect(fake.entries()).toContain('branchbox_1.1.0+2.efi');
  });

  it('and is lost once more is told of, and begins anew once more at a later try', async () => {
    const { fake, state, asked, run } = world([2000, 1000]);
    await expect(run()).rejects.toThrow(/the line went dead/);
    state.fault = { role: 'root', fromByte: 500, how: 'unreadable', mendedByWrite: false };
    // It begins anew, and the line goes dead again: no endless download.
    await expect(run()).rejects.toThrow(/the line went dead/);
    const told = await run().catch((thrown: unknown) => thrown);
    expect(told).toMatchObject({
      code: 'firmware/disk',
      message:
        'the root of slot b lost branchbox-1.1.0.root twice: what stood of branchbox-1.1.0.root cannot be read back: /dev/root cannot be read: EIO',
      mend: expect.stringContaining('SMART'),
    });
    expect(asked).toEqual(['root 0', 'root 0']);
    state.fault = undefined;
    expect(await run()).toBe('ready');
    expect(asked.slice(2)).toEqual(['root 0', 'verity 0', 'uki 0']);
    expect(fake.faults()).toEqual([]);
  });

  it('is not blamed for a source that sends something else', async () => {
    const other = makeVersion('1.1.0', { rootHash: 'ab'.repeat(32) });
    const { run, fake } = world([2000]);
    await expect(run()).rejects.toThrow(/the line went dead/);
    const bytes = Buffer.from(other.bytes.root).fill(1, 3000);
    const source = createFakeSource({ ...other, bytes: { ...other.bytes, root: bytes } }, 100);
    await expect(run({ source })).rejects.toMatchObject({
      code: 'firmware/source',
      fields: { wrong: true },
    });
    expect((await fake.progress.read())?.durableBytes.root).toBe(0);
  });
});

describe('a part that was written and is read back', () => {
  it.each((['root', 'verity', 'uki'] as const).flatMap((role) => HOWS.map((how) => [role, how] as const)))(
    'whose %s is %s begins anew',
    async (role, how) => {
      const { fake, state, asked, run } = world();
      state.fault = { role, fromByte: 0, how, mendedByWrite: false };
      const again = run({
        onStep: ({ op }) => {
          // Found bad once; what is written then is kept.
          if (op === 'verify') asked.push('verify');
          else if (op === 'fetch' && asked.includes('verify')) state.fault = undefined;
        },
      });
      expect(await again).toBe('ready');
      expect(asked).toEqual(['root 0', 'verity 0', 'uki 0', 'verify', `${role} 0`, 'verify']);
      expect(fake.faults()).toEqual([]);
      expect((await fake.progress.read())?.begunAnew).toEqual([]);
    },
  );

  it.each(HOWS)('and is %s for ever is told of after the second time', async (how) => {
    const { fake, state, asked, run } = world();
    state.fault = { role: 'uki', fromByte: 500, how, mendedByWrite: false };
    const told = await run().catch((thrown: unknown) => thrown);
    expect(told).toMatchObject({
      code: 'firmware/disk',
      message: expect.stringMatching(
        /^the file in which a boot entry waits lost branchbox-1\.1\.0\.efi twice: /,
      ),
    });
    expect(asked).toEqual(['root 0', 'verity 0', 'uki 0', 'uki 0']);
    expect(fake.entries()).toEqual(['branchbox_1.0.0.efi']);
    state.fault = undefined;
    expect(await run()).toBe('ready');
    expect(fake.faults()).toEqual([]);
  });
});

describe('a boot entry that went bad after it was verified', () => {
  const verified = async () => {
    const made = world();
    const cut = () => Promise.reject(new BranchboxError('firmware/source', { message: 'cut' }));
    await expect(made.run({ beforeEntry: cut })).rejects.toThrow('cut');
    expect((await made.fake.progress.read())?.verified).toBe(true);
    made.asked.length = 0;
    return made;
  };

  it('is read back at the next try, and fetched', async () => {
    const { fake, disk, state, asked, run } = await verified();
    const gone = { ...disk, judgeStaged: () => disk.openStaged(signal).then(({ read }) => read(0, 900)) };
    state.fault = { role: 'uki', fromByte: 0, how: 'unreadable', mendedByWrite: true };
    await expect(
      run({ disk: { ...gone, judgeStaged: () => gone.judgeStaged().then(() => undefined) } }),
    ).rejects.toThrow(/cannot be read/);
    expect(await run()).toBe('ready');
    expect(asked).toEqual(['uki 0']);
    expect(fake.faults()).toEqual([]);
  });

  it('is not held against the version', async () => {
    const { disk, state, run } = await verified();
    state.fault = { role: 'uki', fromByte: 0, how: 'altered', mendedByWrite: true };
    const judged: FirmwareDisk = { ...disk, judgeStaged: async () => 'it names no root' };
    await expect(run({ disk: judged })).rejects.toMatchObject({ code: 'firmware/disk' });
    expect(await run()).toBe('ready');
  });
});

it('a sync that failed is not asked again for what it lost', async () => {
  const { fake, disk, run } = world();
  let syncs = 0;
  const openSlot: FirmwareDisk['openSlot'] = async (slot, role, limit) => ({
    ...(await disk.openSlot(slot, role, limit)),
    // As Linux tells of it: once.
    async sync() {
      if ((syncs += 1) === 1) throw new BranchboxError('firmware/disk', { message: 'cannot be synced' });
    },
  });
  await expect(run({ disk: { ...disk, openSlot } })).rejects.toThrow(/cannot be synced/);
  expect((await fake.progress.read())?.durableBytes.root).toBe(0);
});

it('a box whose disk loses a part twice says what, where, why and what mends it', async () => {
  const fake = createFakeFirmwareDisk(OLD, [OLD, NEW]);
  const { disk, state } = faulty(fake.disk);
  state.fault = { role: 'root', fromByte: 0, how: 'unreadable', mendedByWrite: false };
  const rests: number[] = [];
  let rested = (): void => undefined;
  const resting = new Promise<void>((resolve) => {
    rested = resolve;
  });
  const one = box({
    disk: { ...fake, disk },
    wanted: wantedOf(NEW),
    async rest(durationMs) {
      rests.push(durationMs);
      rested();
      return new Promise(() => undefined);
    },
  });
  await one.until('refused');
  await resting;
  expect(rests).toEqual([86_400_000]);
  one.stop.abort();
  await one.ended;
  const words = /the root of slot b lost branchbox-1\.1\.0\.root twice: .* EIO\. .*SMART/;
  expect(one.updater.status().sentence).toMatch(words);
  // Not of the version: nothing remembers it as refused.
  expect(await one.records.history()).toEqual([]);
});
