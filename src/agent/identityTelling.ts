/**
 * Owns telling the identity process what the connection to the controller shows: what keeps this box from its broker, for
 * whoever asks how far the box is; and that the controller ended a session or turned this box away, so that it asks whether
 * the owner still trusts it. Never fails: a process that is away hears of the broker at the next try, and asks of its own
 * accord when it is back.
 * Does not own when either is told (controllerLink.ts), nor the verdict (bootstrap/standing).
 */
import type { BrokerProblem } from '../model/obstacle.ts';
import { askSocket } from '../system/askSocket.ts';
import type { Logger } from '../system/ports.ts';

const LIMITS = { timeoutMs: 2_000, maxAnswerBytes: 1024 } as const;

export interface IdentityTelling {
  broker(problem: BrokerProblem | undefined): void;
  doubt(): void;
}

export function createIdentityTelling(parts: {
  readonly socketPath: string;
  readonly log: Logger;
}): IdentityTelling {
  const { socketPath, log } = parts;
  const tell = (path: string, body: string): void => {
    askSocket({ socketPath }, { path, body, ...LIMITS }).catch((error: unknown) =>
      log.debug('the identity process was not told', { path, error }),
    );
  };
  return {
    broker: (problem) => tell('/broker', JSON.stringify(problem === undefined ? {} : { problem })),
    doubt: () => tell('/doubt', ''),
  };
}
