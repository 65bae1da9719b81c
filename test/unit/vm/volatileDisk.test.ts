import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ownDirectory } from '../../ownDirectory.ts';
import { openVolatileDisk, SECTOR_BYTES, type VolatileDisk } from '../../vm/power/volatileDisk.ts';

function disk(): VolatileDisk {
  const directory = ownDirectory();
  writeFileSync(join(directory, 'base'), Buffer.alloc(64 * 1024, 'b'));
  return openVolatileDisk(join(directory, 'base'), join(directory, 'overlay'));
}
const sectors = (count: number, letter: string): Buffer => Buffer.alloc(count * SECTOR_BYTES, letter);
const letters = (of: VolatileDisk, from: number, count: number): string =>
  Array.from({ length: count }, (_none, i) => of.read((from + i) * SECTOR_BYTES, 1).toString()).join('');

describe('a disk with a volatile write cache', () => {
  it('reads what was written, flushed or not, over its base', () => {
    const own = disk();
    own.write(3 * SECTOR_BYTES, sectors(7, 'x'), false);
    expect(letters(own, 0, 12)).toBe('bbbxxxxxxxbb');
    expect(own.read(3 * SECTOR_BYTES - 1, 2).toString()).toBe('bx');
  });

  it('loses by the coin what was not flushed, and nothing else', () => {
    const own = disk();
    own.write(0, sectors(4, 'f'), false);
    own.flush();
    own.write(2 * SECTOR_BYTES, sectors(10, 'u'), false);
    let tosses = 0;
    const result = own.losePower(() => tosses++ % 2 === 0);
    expect(result).toEqual({ kept: 5, lost: 5 });
    expect(letters(own, 0, 14)).toBe('ffufububububbb');
  });

  it('never loses what was written through, nor keeps its neighbours with it', () => {
    const own = disk();
    own.write(0, sectors(8, 'u'), false);
    own.write(2 * SECTOR_BYTES, sectors(2, 't'), true);
    expect(letters(own, 0, 9)).toBe('uuttuuuub');
    expect(own.losePower(() => false)).toEqual({ kept: 0, lost: 6 });
    expect(letters(own, 0, 9)).toBe('bbttbbbbb');
  });

  it('tells of each sector whether a flush would bring something of it', () => {
    const own = disk();
    own.write(9 * SECTOR_BYTES, sectors(2, 'x'), false);
    const isDirty = (from: number, to: number): boolean =>
      own.isDirty(from * SECTOR_BYTES, to * SECTOR_BYTES);
    expect([isDirty(0, 9), isDirty(0, 10), isDirty(10, 11), isDirty(11, 128)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
    own.flush();
    expect(isDirty(0, 128)).toBe(false);
  });

  it('is its base again after a reset', () => {
    const own = disk();
    own.write(0, sectors(16, 'x'), true);
    own.reset();
    expect(letters(own, 0, 16)).toBe('b'.repeat(16));
  });

  it('refuses what is not of whole sectors', () => {
    expect(() => disk().write(1, sectors(1, 'x'), false)).toThrow(/whole sectors/);
  });
});
