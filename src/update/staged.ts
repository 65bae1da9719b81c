/**
 * Owns when the boot entry that waits in /var is deleted: it has 25 MB, and is of use only to the update whose progress
 * names its bytes.
 * Does not own the file (disk.ts).
 */
import type { Logger } from '../system/ports.ts';
import type { FirmwareDisk, ProgressStore } from './ports.ts';

/** What is left there costs room and nothing else: a failure keeps nothing from its turn. */
export async function dropStaged(disk: Pick<FirmwareDisk, 'dropStaged'>, log: Logger): Promise<void> {
  await disk.dropStaged().catch((error: unknown) => {
    log.warn('the boot entry that waited cannot be removed', { error });
  });
}

/** Of a version that nobody tries again by itself; its slot is kept, to be read back. */
export async function forgetStaged(
  disk: Pick<FirmwareDisk, 'dropStaged'>,
  progress: ProgressStore,
  digest: string,
  log: Logger,
): Promise<void> {
  const present = await progress.read();
  if (present?.digest !== digest) return;
  // First: progress never counts bytes that are gone.
  await progress.write({
    ...present,
    durableBytes: { ...present.durableBytes, uki: 0 },
    verified: false,
  });
  await dropStaged(disk, log);
}
