/**
 * Owns when the certificates of the controller's servers are looked at, and that new ones reach every server.
 * Does not own which are due (serviceCredentials.ts) nor how a server takes one.
 */
import type { Clock, Logger } from '../system/ports.ts';
import type { ServiceCredentials } from './serviceCredentials.ts';

const LOOK_MS = 12 * 3_600_000;

/** Ends with `signal`, and with nothing else: what fails is looked at again. */
export async function renewUntilEnd(options: {
  /** The same where nothing is due. */
  readonly ensure: () => Promise<ServiceCredentials>;
  readonly current: ServiceCredentials;
  readonly hand: (next: ServiceCredentials) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { ensure, hand, clock, log, signal } = options;
  let { current } = options;
  for (;;) {
    await clock.sleep(LOOK_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      const next = await ensure();
      // Keys print as redacted: what is compared are certificates.
      if (JSON.stringify(next) === JSON.stringify(current)) continue;
      await hand(next);
      // Only now: what one of them did not take is handed to all again.
      current = next;
      log.info('renewed the certificates of the servers');
    } catch (error) {
      log.error('the certificates of the servers could not be renewed', { error });
    }
  }
}
