/**
 * Owns when the certificates of the controller's servers are checked, in time or because one must not be used any more, and that
 * new ones reach every server. Does not own which are due (serviceCredentials.ts) nor how a server takes one.
 */
import type { Clock, Logger } from '../system/ports.ts';
import { createSerialQueue } from '../system/serialQueue.ts';
import type { ServiceCredentials } from './serviceCredentials.ts';

const LOOK_MS = 12 * 3_600_000;

export interface Renewal {
  /** What every server has. */
  current(): ServiceCredentials;
  /**
   * Checks now. `without`: the number of a certificate that no server uses any more once this resolves. Throws why one of them
   * still does; the next check hands the new one to all again.
   */
  look(without?: string): Promise<void>;
  /** Looks by time. Ends with `signal`, and with nothing else: what fails is looked at again. */
  untilEnd(signal: AbortSignal): Promise<void>;
}

export function createRenewal(options: {
  /** The same where nothing is due. */
  readonly ensure: (without?: string) => Promise<ServiceCredentials>;
  readonly first: ServiceCredentials;
  readonly hand: (next: ServiceCredentials) => Promise<void>;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Logger;
}): Renewal {
  const { ensure, hand, clock, log } = options;
  let current = options.first;

  async function look(without?: string): Promise<void> {
    const next = await ensure(without);
    // Keys print as redacted: what is compared are certificates.
    if (JSON.stringify(next) === JSON.stringify(current)) return;
    await hand(next);
    // Only now: where one server did not take it, the next check hands it to all again.
    current = next;
    log.info('renewed the certificates of the servers');
  }

  // One at a time: two of them would each make a key, and one would be nobody's.
  const inTurn = createSerialQueue();
  const lookInTurn = (without?: string): Promise<void> => inTurn(() => look(without));
  return {
    current: () => current,
    look: lookInTurn,
    async untilEnd(signal) {
      for (;;) {
        await clock.sleep(LOOK_MS, signal).catch(() => undefined);
        if (signal.aborted) return;
        try {
          await lookInTurn();
        } catch (error) {
          log.error('the certificates of the servers could not be renewed', { error });
        }
      }
    },
  };
}
