/**
 * Owns what the journal's last OWNED tells of how this box got its owner. Does not own entering it (provisional.ts, medium.ts)
 * nor the journal.
 */
import type { Journal } from './journal.ts';
import type { Onboarder } from './progress.ts';

export interface OwnedEntry {
  /** undefined where no server named the owner. */
  onboarder(): Onboarder | undefined;
  /** When the voucher that named the owner was made; undefined where the journal does not say. */
  voucherMadeAtMs(): number | undefined;
  /** Whether a medium named the owner. */
  isByMedium(): boolean;
}

export function createOwnedEntry(journal: Pick<Journal, 'history'>): OwnedEntry {
  const note = () => journal.history().findLast((entry) => entry.state === 'OWNED')?.note;
  return {
    onboarder() {
      const { server, reporting } = note() ?? {};
      return server === undefined ? undefined : { server, verbose: reporting === 'verbose' };
    },
    voucherMadeAtMs() {
      const madeAtMs = Date.parse(note()?.['voucherMadeAt'] ?? '');
      return Number.isNaN(madeAtMs) ? undefined : madeAtMs;
    },
    isByMedium: () => note()?.['medium'] !== undefined,
  };
}
