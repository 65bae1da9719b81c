/**
 * Owns a box's last message to the controller that it left: that it has moved as ordered, so that here it does not merely look
 * silent. Does not own who sends it (deviceApi.ts, which proved the certificate) nor the order (orders.ts).
 *
 * Nothing follows from it but what an operator reads. Where it went is what was ordered here, never what it says; and a
 * box that was ordered nowhere, or by another order, cannot say it at all.
 */
import type { IncomingMessage } from 'node:http';
import { MOVED_PATH, MovedWord } from '../model/deviceApi.ts';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Clock, Logger } from '../system/ports.ts';
import type { Answer } from './exchange.ts';
import { readBody } from './requestBody.ts';
import type { Store } from './store/store.ts';

const MAX_WORD_BYTES = 1024;

export interface MovedRoute {
  /** undefined: the path is another one. */
  handle(
    box: { readonly gatewayId: string; readonly serial: string | undefined },
    request: IncomingMessage,
    line: { readonly method: string; readonly path: string },
  ): Promise<Answer | undefined>;
}

export function createMovedRoute(options: {
  readonly store: {
    readonly inventory: Store['inventory'];
    readonly records: Pick<Store['records'], 'audit'>;
  };
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly log: Logger;
}): MovedRoute {
  const { store, clock, log } = options;

  async function note(gatewayId: string, serial: string, generation: number): Promise<Answer> {
    const move = (await store.inventory.get(serial))?.move;
    if (move?.generation !== generation) {
      return refusal(409, 'this box was not ordered to move by that order');
    }
    // The first message stands: one that is repeated only means that the answer was lost.
    if (move.movedAtMs !== undefined) return { status: 204 };
    const atMs = clock.nowMs();
    await store.inventory.recordMove(serial, { ...move, movedAtMs: atMs });
    await store.records.audit({
      atMs,
      actor: `gateway:${gatewayId}`,
      action: 'moved',
      subject: gatewayId,
      detail: `${serial} to ${move.to} as ${move.becomes}`,
    });
    log.info('a box is with another controller now', { gatewayId, serial, to: move.to });
    return { status: 204 };
  }

  return {
    async handle({ gatewayId, serial }, request, { method, path }) {
      if (path !== MOVED_PATH || method !== 'POST' || serial === undefined) return undefined;
      const body = await readBody(request, MAX_WORD_BYTES);
      if (body === undefined) return refusal(413, `at most ${MAX_WORD_BYTES} bytes`);
      try {
        const { generation } = decodeJson(MovedWord, body.toString('utf8'), 'The word of a box that moved');
        return await note(gatewayId, serial, generation);
      } catch (thrown) {
        if (!(thrown instanceof BranchboxError) || thrown.code !== 'model/invalid') throw thrown;
        return refusal(400, thrown.message);
      }
    },
  };
}

const refusal = (status: number, message: string): Answer => ({
  status,
  mediaType: 'application/json',
  body: JSON.stringify({ code: 'controller/refused', message }),
});
