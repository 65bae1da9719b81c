/**
 * Owns telling the identity process what keeps this box from its broker: whoever looks how far the box is asks there. Never
 * fails: a process that is away hears it at the next try. Does not own what it is (controllerLink.ts).
 */
import type { BrokerProblem } from '../model/obstacle.ts';
import { askSocket } from '../system/askSocket.ts';
import type { Logger } from '../system/ports.ts';

const ANSWER_TIMEOUT_MS = 2_000;
const MAX_ANSWER_BYTES = 1024;

export function createBrokerTelling(parts: { readonly socketPath: string; readonly log: Logger }): {
  tell(problem: BrokerProblem | undefined): void;
} {
  const { socketPath, log } = parts;
  return {
    tell(problem) {
      const body = JSON.stringify(problem === undefined ? {} : { problem });
      const limits = { timeoutMs: ANSWER_TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES };
      askSocket({ socketPath }, { path: '/broker', body, ...limits }).catch((error: unknown) =>
        log.debug('the identity process was not told of the broker', { error }),
      );
    },
  };
}
