/**
 * Owns the epoch: the first half of every desired state's order. It only grows, and grows when a controller was
 * restored from an old copy, whose generations boxes have seen already.
 */
import type { Files, Logger } from '../system/ports.ts';
import type { Store } from './store/store.ts';

/**
 * The epoch is also kept in a file beside the database: a database that was restored from a copy with a lower epoch is noticed by
 * that. A copy of the same epoch is not; what boxes report tells it (overview.ts, `ahead`).
 */
export async function settleEpoch(options: {
  readonly store: Store;
  readonly files: Pick<Files, 'readText' | 'writeDurable'>;
  readonly path: string;
  readonly raise: boolean;
  readonly log: Logger;
}): Promise<number> {
  const { store, files, path, log } = options;
  const beside = Number((await files.readText(path))?.trim() ?? 0);
  const stored = await store.gateways.epoch();
  const restored = Number.isInteger(beside) && beside > stored;
  const highest = Math.max(restored ? beside : 0, stored, 0);
  const epoch = restored || options.raise || highest === 0 ? highest + 1 : highest;
  if (epoch !== stored || epoch !== beside) {
    await files.writeDurable(path, `${epoch}\n`, 0o600);
    await store.gateways.setEpoch(epoch);
    if (stored > 0) log.warn('raised the epoch', { from: stored, to: epoch, restored });
  }
  return epoch;
}
