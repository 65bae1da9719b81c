/**
 * Owns orders to a gateway: signed, sent, and awaited until the box says whether it does as told.
 * Does not own what the box makes of one (agent/orders) nor who may ask (the API).
 */
import { randomUUID } from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import type { Invitation } from '../model/move.ts';
import type { Command, Order, Reply } from '../model/mqtt.ts';
import type { UplinkTestRequest } from '../model/uplinkReport.ts';
import type { Clock } from '../system/ports.ts';
import { readInvitation } from './moving.ts';
import type { SignerClient } from './signer/client.ts';
import type { Store } from './store/store.ts';

/** A box answers within a second. One on LTE that just lost its uplink may not: whoever ordered has to order again. */
const ANSWER_TIMEOUT_MS = 15_000;

/** A test that begins later than this would surprise whoever ordered it. */
const TEST_ORDER_LIFE_MS = 60_000;

/** Boxes' clocks may differ by that much from ours. */
const MOVE_ORDER_LIFE_MS = 10 * 60_000;
/** Of the last order to move that was made here: boxes take none twice. */
const MOVE_GENERATION = 'move-generation';

const WAITS_FOR = 'check the name; `branchbox fleet status` says of each gateway what it waits for';

export interface MoveWish {
  readonly invitation: Invitation;
  readonly withinS: number;
}

export interface OrderedMove {
  readonly gatewayId: string;
  readonly serial: string;
  readonly to: string;
  readonly becomes: string;
  readonly domainCaSha256: string;
  readonly message: string;
}

export interface Orders {
  /** Resolves with the box's words; controller/unreachable where it does not answer, controller/refused where it refuses. */
  factoryReset(gatewayId: string, actor: string): Promise<string>;
  /** As factoryReset; the report comes later, by itself. */
  testUplinks(gatewayId: string, request: UplinkTestRequest, actor: string): Promise<string>;
  /** As factoryReset; whether the next controller took it is seen there, and where it did not, in the box's health. */
  move(gatewayId: string, wish: MoveWish, actor: string): Promise<OrderedMove>;
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
        mend: WAITS_FOR,
      });
    }
    await holdAgainstRevoked(gatewayId, words);
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
    // Keyed by the gateway of the topic too: no box can answer for another.
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

  /** The broker has no session with such a box: nothing would be heard, and nobody told why. */
  async function holdAgainstRevoked(gatewayId: string, words: { readonly done: string }): Promise<void> {
    const serial = (await store.gateways.reportedKeys()).find((key) => key.gatewayId === gatewayId)?.serial;
    if (serial === undefined || (await store.inventory.get(serial))?.state !== 'revoked') return;
    const holder = await holderOf(gatewayId);
    // Replaced: whoever asks means the new box, and to trust the old one again would mend nothing.
    if (holder !== undefined && holder !== serial) throw notReported(gatewayId, holder, words);
    throw new BranchboxError('controller/conflict', {
      message: `the box of ${gatewayId}, ${serial}, is revoked, so it hears no order`,
      mend: `trust it again first (branchbox fleet release ${serial}), or do it at the box`,
    });
  }

  /** By the fleet as it is now; the box that reported last may be the one before. */
  const holderOf = async (gatewayId: string): Promise<string | undefined> =>
    (await store.fleet.outline())?.places.find(({ id }) => id === gatewayId)?.serial;

  /** Serial and factory key of the box that is this gateway; refused where another one was invited. */
  async function boxOf(
    gatewayId: string,
    invited: string,
  ): Promise<{ readonly serial: string; readonly idevidSpkiSha256: string }> {
    const reported = (await store.gateways.reportedKeys()).find((key) => key.gatewayId === gatewayId);
    const serial = reported?.serial;
    const identity = serial === undefined ? undefined : (await store.inventory.get(serial))?.identity;
    if (serial === undefined || identity === undefined) {
      throw new BranchboxError('controller/not-found', {
        message: `no box has enrolled and reported as ${gatewayId} yet, so there is none to be moved`,
        mend: WAITS_FOR,
      });
    }
    if (serial !== invited) {
      const holder = (await holderOf(gatewayId)) ?? serial;
      if (holder === invited) throw notReported(gatewayId, holder, { done: 'moved' });
      throw new BranchboxError('controller/conflict', {
        message: `the invitation is for ${invited}, ${gatewayId} is ${holder}`,
        mend: `have the other controller invite it: branchbox fleet invite ${holder}`,
      });
    }
    return { serial, idevidSpkiSha256: identity.spkiSha256 };
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
    async move(gatewayId, { invitation, withinS }, actor) {
      const { owner, domainCaSha256 } = await readInvitation(invitation, clock.nowMs());
      const box = await boxOf(gatewayId, invitation.serial);
      const { host } = owner.device;
      await store.records.audit({
        atMs: clock.nowMs(),
        actor,
        action: 'move-ordered',
        subject: gatewayId,
        detail: `to ${host} as ${owner.gatewayId}, domain CA ${domainCaSha256}, within ${withinS} s`,
      });
      // Kept before it is used: it only grows, also where somebody put the clock back.
      const last = Number((await store.records.meta(MOVE_GENERATION)) ?? 0);
      const generation = Math.max(last + 1, clock.nowMs());
      await store.records.setMeta(MOVE_GENERATION, String(generation));
      const { domainAnchorPem, conveyedInformation, ownerCertificate } = invitation;
      // Before it is sent: where its answer is lost, the box may go all the same.
      const before = (await store.inventory.get(box.serial))?.move;
      const move = { to: host, becomes: owner.gatewayId, generation, orderedAtMs: clock.nowMs() };
      await store.inventory.recordMove(box.serial, move);
      const message = await give(
        gatewayId,
        actor,
        (to) => ({
          ...to,
          order: 'move',
          ...box,
          generation,
          notAfterMs: clock.nowMs() + MOVE_ORDER_LIFE_MS,
          withinS,
          domainAnchorPem,
          conveyedInformation,
          ownerCertificate,
        }),
        { done: 'moved' },
      ).catch(async (thrown: unknown) => {
        // A box that is moving refuses a second order, and one that has moved hears none: the order before still counts.
        const refused = thrown instanceof BranchboxError && thrown.code === 'controller/refused';
        if (refused || before?.movedAtMs !== undefined) await store.inventory.recordMove(box.serial, before);
        throw thrown;
      });
      return {
        gatewayId,
        serial: box.serial,
        to: host,
        becomes: owner.gatewayId,
        domainCaSha256,
        message,
      };
    },
    answered(gatewayId, reply) {
      waiting.get(`${gatewayId} ${reply.id}`)?.(reply);
    },
  };
}

const notReported = (gatewayId: string, holder: string, words: { readonly done: string }): BranchboxError =>
  new BranchboxError('controller/not-found', {
    message: `${holder} has the place of ${gatewayId} now, and has not reported yet, so there is none to be ${words.done}`,
    mend: WAITS_FOR,
  });
