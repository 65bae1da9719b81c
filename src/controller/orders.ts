/**
 * Owns orders to a gateway: signed, sent, and awaited until the box says whether it does as told.
 * Does not own what the box makes of one (agent/orders) nor who may ask (the API).
 */
import { randomUUID } from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import type { Command, Order, Reply } from '../model/mqtt.ts';
import type { UplinkTestRequest } from '../model/uplinkReport.ts';
import type { Clock } from '../system/ports.ts';
import type { SignerClient } from './signer/client.ts';
import type { Store } from './store/store.ts';

/** A box answers within a second; one on LTE that just lost its uplink is asked again by whoever ordered. */
const ANSWER_TIMEOUT_MS = 15_000;

/** A test that begins later than this would surprise whoever ordered it. */
const TEST_ORDER_LIFE_MS = 60_000;

export interface Orders {
  /** Resolves with the box's words; controller/unreachable where it does not answer, controller/refused where it refuses. */
  factoryReset(gatewayId: string, actor: string): Promise<string>;
  /** As factoryReset; the report comes later, by itself. */
  testUplinks(gatewayId: string, request: UplinkTestRequest, actor: string): Promise<string>;
  /** From the broker: a box's answer. */
  answered(gatewayId: string, reply: Extract<Reply, { kind: 'done' }>): void;
}

export function createOrders(parts: {
  readonly store: Store;
  readonly signer: Pick<SignerClient, 'order'>;
  readonly command: (gatewayId: string, command: Command) => Promise<void>;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly timeoutMs?: number;
}): Orders {
  const { store, signer, clock, timeoutMs = ANSWER_TIMEOUT_MS } = parts;
  const waiting = new Map<string, (reply: Extract<Reply, { kind: 'done' }>) => void>();

  async function give(
    gatewayId: string,
    actor: string,
    make: (to: { readonly schema: 1; gatewayId: string; wireguardPublicKey: string }) => Order,
    words: { readonly done: string },
  ): Promise<string> {
    const wireguardPublicKey = (await store.gateways.publicKeys()).get(gatewayId);
    if (wireguardPublicKey === undefined) {
      throw new BranchboxError('controller/not-found', {
        message: `no box has reported as ${gatewayId} yet, so there is none to be ${words.done}`,
      });
    }
    const order = make({ schema: 1, gatewayId, wireguardPublicKey });
    const jws = await signer.order(order);
    const id = randomUUID();
    const audit = (detail: string): Promise<void> =>
      store.records.audit({
        atMs: clock.nowMs(),
        actor,
        action: order.order,
        subject: gatewayId,
        detail,
      });
    await audit(`order ${id}`);
    const answer = Promise.withResolvers<Extract<Reply, { kind: 'done' }> | undefined>();
    // The topic is part of what is waited for: no box answers for another.
    waiting.set(`${gatewayId} ${id}`, answer.resolve);
    const timer = setTimeout(() => answer.resolve(undefined), timeoutMs);
    try {
      await parts.command(gatewayId, { kind: 'order', id, jws });
      const reply = await answer.promise;
      await audit(
        reply === undefined ? 'no answer' : `${reply.ok ? 'accepted' : 'refused'}: ${reply.message}`,
      );
      if (reply === undefined) {
        throw new BranchboxError('controller/unreachable', {
          message: `${gatewayId} does not answer, so it may or may not have been ${words.done}`,
          mend: 'ask for its status, and order it again when it is connected',
        });
      }
      if (!reply.ok) {
        throw new BranchboxError('controller/refused', {
          message: `${gatewayId} refused: ${reply.message}`,
        });
      }
      return reply.message;
    } finally {
      clearTimeout(timer);
      waiting.delete(`${gatewayId} ${id}`);
    }
  }

  return {
    factoryReset: (gatewayId, actor) =>
      give(gatewayId, actor, (to) => ({ ...to, order: 'factory-reset' }), { done: 'reset' }),
    testUplinks: (gatewayId, request, actor) =>
      give(
        gatewayId,
        actor,
        (to) => ({
          ...to,
          order: 'test-uplinks',
          notAfterMs: clock.nowMs() + TEST_ORDER_LIFE_MS,
          request,
        }),
        { done: 'tested' },
      ),
    answered(gatewayId, reply) {
      waiting.get(`${gatewayId} ${reply.id}`)?.(reply);
    },
  };
}
