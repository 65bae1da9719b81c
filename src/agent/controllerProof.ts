/**
 * Owns the proof that a trial asks for: a nonce that the controller answers over a connection opened after the question.
 * Does not own the connection (controllerLink) nor what hangs on the answer (carryThrough).
 */
import { randomBytes } from 'node:crypto';
import type { Reply } from '../model/mqtt.ts';
import type { Clock } from '../system/ports.ts';

const REPEAT_MS = 3000;

export interface ControllerProof {
  /** Somebody waits for an answer. */
  isAsked(): boolean;
  /** Resolves at the answer; rejects with the signal's reason. */
  ask(signal: AbortSignal): Promise<void>;
  /** A connection stands: it is asked over it, again and again, until it is answered or the connection has gone. */
  connected(gatewayId: string, isLive: () => boolean): void;
  answered(nonce: string): void;
}

interface Question {
  readonly nonce: string;
  readonly resolve: () => void;
}

export function createControllerProof(parts: {
  readonly clock: Pick<Clock, 'sleep'>;
  readonly send: (request: Reply) => Promise<unknown>;
  /** Only an answer over a new connection says that the new state lets one through. */
  readonly renew: () => void;
}): ControllerProof {
  let question: Question | undefined;

  const repeat = async (asked: Question, gatewayId: string, isLive: () => boolean): Promise<void> => {
    while (question === asked && isLive()) {
      await parts.send({ kind: 'proof-request', gatewayId, nonce: asked.nonce });
      await parts.clock.sleep(REPEAT_MS);
    }
  };
  return {
    isAsked: () => question !== undefined,
    async ask(signal) {
      const done = Promise.withResolvers<void>();
      const own: Question = { nonce: randomBytes(16).toString('hex'), resolve: done.resolve };
      const onAbort = (): void => done.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      question = own;
      parts.renew();
      try {
        signal.throwIfAborted();
        await done.promise;
      } finally {
        signal.removeEventListener('abort', onAbort);
        if (question === own) question = undefined;
      }
    },
    connected(gatewayId, isLive) {
      if (question !== undefined) void repeat(question, gatewayId, isLive);
    },
    answered(nonce) {
      if (question?.nonce === nonce) question.resolve();
    },
  };
}
