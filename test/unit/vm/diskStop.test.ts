import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ownDirectory } from '../../ownDirectory.ts';
import { createDiskStop, type Written } from '../../vm/power/diskStop.ts';
import { openVolatileDisk, SECTOR_BYTES } from '../../vm/power/volatileDisk.ts';

const SECTORS = 200;
const PLACES = { esp: 40, 'branchbox-root-b': 60, 'branchbox-data': 120, end: SECTORS - 2 } as const;

/** A table of three partitions of ten sectors. */
function diskWithTable() {
  const image = Buffer.alloc(SECTORS * SECTOR_BYTES);
  for (const [index, label] of (['esp', 'branchbox-root-b', 'branchbox-data'] as const).entries()) {
    const entry = image.subarray(2 * SECTOR_BYTES + 128 * index);
    entry.writeBigUInt64LE(BigInt(PLACES[label]), 32);
    entry.writeBigUInt64LE(BigInt(PLACES[label] + 9), 40);
    entry.write(label, 56, 'utf16le');
  }
  const base = join(ownDirectory(), 'base');
  writeFileSync(base, image);
  return openVolatileDisk(base, `${base}.overlay`);
}

function diskStop(kernelRuns = () => true) {
  const disk = diskWithTable();
  const stop = createDiskStop(disk, kernelRuns);
  return {
    stop,
    /** What each write's flush was answered: whether it stopped. */
    flushesAfterWritesTo: (...sectors: readonly number[]): readonly boolean[] =>
      sectors.map((sector) => {
        disk.write(sector * SECTOR_BYTES, Buffer.alloc(SECTOR_BYTES, 1), false);
        const isStopped = stop.stopsAtFlush();
        if (!isStopped) disk.flush();
        return isStopped;
      }),
  };
}

it.each<[Written, readonly number[]]>([
  ['table', [PLACES.esp, 33, PLACES['branchbox-root-b'], PLACES.end]],
  ['slot', [PLACES.esp, PLACES['branchbox-root-b'], 70, 69]],
  ['esp', [PLACES['branchbox-root-b'], 49, PLACES['branchbox-data'], PLACES.esp]],
])('stops at the second flush that writes to the %s wait for, and no other', (what, sectors) => {
  const { stop, flushesAfterWritesTo } = diskStop();
  stop.arm(what, 2);
  expect(flushesAfterWritesTo(...sectors)).toEqual([false, false, false, true]);
  expect(stop.isStopped()).toBe(true);
});

it('counts no write to the ESP that the firmware made, and stops nothing unless armed', () => {
  let kernelRuns = false;
  const { stop, flushesAfterWritesTo } = diskStop(() => kernelRuns);
  expect(flushesAfterWritesTo(PLACES.esp)).toEqual([false]);
  stop.arm('esp', 1);
  expect(flushesAfterWritesTo(PLACES.esp)).toEqual([false]);
  kernelRuns = true;
  expect(flushesAfterWritesTo(PLACES.esp)).toEqual([true]);
  stop.disarm();
  expect(flushesAfterWritesTo(PLACES.esp)).toEqual([false]);
});
