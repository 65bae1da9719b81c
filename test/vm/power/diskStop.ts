/**
 * Owns stopping a disk at a flush of what a cut is named after: the partition table, the slot that is written, the ESP.
 * What was written since the flush before it is then in the cache, and what the power takes is of that. Does not own
 * when (plan.ts) nor the disk.
 */
import { type ByteRange, partitionsIn, TABLE_BYTES } from './gpt.ts';
import { SECTOR_BYTES, type VolatileDisk } from './volatileDisk.ts';

export type Written = 'table' | 'slot' | 'esp';

export interface DiskStop {
  /** The nth flush from now on that `what` waits for does not happen. */
  arm(what: Written, atFlush: number): void;
  disarm(): void;
  isStopped(): boolean;
  /** Asked before each flush. */
  stopsAtFlush(): boolean;
}

const SLOTS = /^branchbox-(?:root|verity)-[ab]$/;

/** `kernelRuns`: what the firmware and the boot loader write to the ESP, in each start, is no placing of an entry. */
export function createDiskStop(
  disk: Pick<VolatileDisk, 'sizeBytes' | 'isDirty' | 'read'>,
  kernelRuns: () => boolean,
): DiskStop {
  let armed: { readonly what: Written; readonly ranges: readonly ByteRange[] } | undefined;
  let flushesLeft = 0;
  let stopped = false;
  const rangesOf = (what: Written): readonly ByteRange[] => {
    // Both copies: LBA 0 to 33, and as many at the end but for the MBR (UEFI 5.3.1).
    if (what === 'table') {
      const end = disk.sizeBytes;
      return [
        { fromByte: 0, toByte: TABLE_BYTES },
        { fromByte: end - (TABLE_BYTES - SECTOR_BYTES), toByte: end },
      ];
    }
    // The slot that runs is never written: whichever is, is the other.
    return [...partitionsIn(disk.read(0, TABLE_BYTES))].flatMap(([label, range]) =>
      (what === 'slot' ? SLOTS.test(label) : label === 'esp') ? [range] : [],
    );
  };
  return {
    arm(what, atFlush) {
      armed = { what, ranges: rangesOf(what) };
      flushesLeft = atFlush;
    },
    disarm() {
      armed = undefined;
      stopped = false;
    },
    isStopped: () => stopped,
    stopsAtFlush() {
      if (armed === undefined || stopped) return stopped;
      if (!armed.ranges.some(({ fromByte, toByte }) => disk.isDirty(fromByte, toByte))) return false;
      if (armed.what === 'esp' && !kernelRuns()) return false;
      flushesLeft -= 1;
      stopped = flushesLeft === 0;
      return stopped;
    },
  };
}
