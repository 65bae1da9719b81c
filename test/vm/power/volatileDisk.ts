/**
 * Owns a disk with a volatile write cache, for power cuts: what was written since the last flush is in memory; when the
 * power goes, each sector of it is kept or lost by a coin of the caller's, in no order. A killed QEMU alone would lose
 * nothing that it had handed to the host. Does not own the protocol (nbd.ts, diskServer.ts).
 */
import { closeSync, ftruncateSync, openSync, readSync, statSync, writeSync } from 'node:fs';

/** What a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;
const PAGE_BYTES = 4096;
const SECTORS_PER_PAGE = PAGE_BYTES / SECTOR_BYTES;
const ALL_SECTORS = (1 << SECTORS_PER_PAGE) - 1;
/** A disk's cache is small: above this the oldest pages go to the medium, as they would. */
const CACHE_PAGES = (64 * 1024 * 1024) / PAGE_BYTES;

interface Page {
  readonly data: Buffer;
  /** A bit a sector that was written since the last flush. */
  dirty: number;
}

export interface VolatileDisk {
  readonly sizeBytes: number;
  read(offset: number, length: number): Buffer;
  /** `through`: on the medium when it returns (force unit access). */
  write(offset: number, data: Buffer, through: boolean): void;
  /** All that was written before is on the medium. */
  flush(): void;
  /** Whether the next flush has anything of these bytes to bring to the medium. */
  isDirty(fromByte: number, toByte: number): boolean;
  /** What the cache held is kept or lost, sector by sector. Returns how many of each. */
  losePower(keep: () => boolean): { readonly kept: number; readonly lost: number };
  /** As the base is: all that was written since is gone. */
  reset(): void;
  close(): void;
}

/** `base` is only read; what is written goes to `overlay`, a sparse file that is made anew. */
export function openVolatileDisk(base: string, overlay: string): VolatileDisk {
  const sizeBytes = statSync(base).size;
  const [baseFile, overlayFile] = [openSync(base, 'r'), openSync(overlay, 'w+')];
  ftruncateSync(overlayFile, sizeBytes);
  const isOverlaid = new Uint8Array(Math.ceil(sizeBytes / PAGE_BYTES));
  const cache = new Map<number, Page>();
  const medium = (page: number, into: Buffer, at: number): void => {
    const file = isOverlaid[page] === 1 ? overlayFile : baseFile;
    readSync(file, into, at, Math.min(PAGE_BYTES, into.length - at), page * PAGE_BYTES);
  };
  const loadPage = (page: number): Page => {
    const data = Buffer.alloc(PAGE_BYTES);
    medium(page, data, 0);
    return { data, dirty: 0 };
  };
  /** The sectors of a page that `keep` keeps, to the medium. */
  const store = (page: number, content: Page, keep: () => boolean): number => {
    let sectors = 0;
    for (let sector = 0; sector < SECTORS_PER_PAGE; sector += 1) {
      if ((content.dirty & (1 << sector)) !== 0 && keep()) sectors |= 1 << sector;
    }
    if (sectors === 0) return 0;
    const whole = sectors === ALL_SECTORS ? content.data : loadPage(page).data;
    for (let sector = 0; sector < SECTORS_PER_PAGE; sector += 1) {
      const [from, to] = [sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES];
      if ((sectors & (1 << sector)) !== 0) content.data.copy(whole, from, from, to);
    }
    writeSync(overlayFile, whole, 0, PAGE_BYTES, page * PAGE_BYTES);
    isOverlaid[page] = 1;
    content.dirty &= ~sectors;
    return countBits(sectors);
  };
  const always = (): boolean => true;
  return {
    sizeBytes,
    read(offset, length) {
      const first = Math.floor(offset / PAGE_BYTES);
      const count = Math.ceil((offset + length) / PAGE_BYTES) - first;
      const pages = Buffer.alloc(count * PAGE_BYTES);
      for (let index = 0; index < count; index += 1) {
        const cached = cache.get(first + index);
        if (cached === undefined) medium(first + index, pages, index * PAGE_BYTES);
        else cached.data.copy(pages, index * PAGE_BYTES);
      }
      const from = offset - first * PAGE_BYTES;
      return pages.subarray(from, from + length);
    },
    write(offset, data, through) {
      if (offset % SECTOR_BYTES !== 0 || data.length % SECTOR_BYTES !== 0) {
        throw new Error(`a write of ${data.length} bytes at ${offset} is not of whole sectors`);
      }
      for (let at = 0; at < data.length; ) {
        const page = Math.floor((offset + at) / PAGE_BYTES);
        const start = (offset + at) % PAGE_BYTES;
        const length = Math.min(PAGE_BYTES - start, data.length - at);
        const content = cache.get(page) ?? loadPage(page);
        data.copy(content.data, start, at, at + length);
        const before = content.dirty;
        const sectors = ((1 << (length / SECTOR_BYTES)) - 1) << (start / SECTOR_BYTES);
        content.dirty = sectors;
        if (through) store(page, content, always);
        content.dirty |= before & (through ? ~sectors : ALL_SECTORS);
        // Newest last: the first is the oldest.
        cache.delete(page);
        if (content.dirty !== 0) cache.set(page, content);
        at += length;
      }
      for (const [page, content] of cache) {
        if (cache.size <= CACHE_PAGES) break;
        store(page, content, always);
        cache.delete(page);
      }
    },
    flush() {
      for (const [page, content] of cache) store(page, content, always);
      cache.clear();
    },
    isDirty(fromByte, toByte) {
      // By what the cache holds and not by the range: a slot has many more pages.
      for (const [page, { dirty }] of cache) {
        const start = page * PAGE_BYTES;
        if (start >= toByte || start + PAGE_BYTES <= fromByte) continue;
        for (let sector = 0; sector < SECTORS_PER_PAGE; sector += 1) {
          const at = start + sector * SECTOR_BYTES;
          if ((dirty & (1 << sector)) !== 0 && at >= fromByte && at < toByte) return true;
        }
      }
      return false;
    },
    losePower(keep) {
      let held = 0;
      let kept = 0;
      for (const [page, content] of cache) {
        held += countBits(content.dirty);
        kept += store(page, content, keep);
      }
      cache.clear();
      return { kept, lost: held - kept };
    },
    reset() {
      cache.clear();
      isOverlaid.fill(0);
      ftruncateSync(overlayFile, 0);
      ftruncateSync(overlayFile, sizeBytes);
    },
    close() {
      closeSync(baseFile);
      closeSync(overlayFile);
    },
  };
}

function countBits(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
