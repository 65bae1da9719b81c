/**
 * Owns topics and messages between a box and its controller's broker.
 * Does not own the connection (agent/controllerLink, controller/broker).
 */
import { z } from 'zod';
import { WireGuardPublicKey } from './addresses.ts';
import { GatewayId, Serial } from './ids.ts';
import { MOVE_WITHIN_S, nextOwnerShape } from './move.ts';
import { GatewayEvent } from './status.ts';
import { UplinkReport, UplinkTestRequest } from './uplinkReport.ts';

const ROOT = 'branchbox/v1/gw';

/** The topics of one box. It may read desired and cmd, and write status, events and reply; nothing else. */
export function topicsOf(gatewayId: string): {
  readonly desired: string;
  readonly status: string;
  readonly events: string;
  readonly cmd: string;
  readonly reply: string;
} {
  const base = `${ROOT}/${gatewayId}`;
  return {
    desired: `${base}/desired`,
    status: `${base}/status`,
    events: `${base}/events`,
    cmd: `${base}/cmd`,
    reply: `${base}/reply`,
  };
}

export const ALL_STATUS = `${ROOT}/+/status`;
export const ALL_EVENTS = `${ROOT}/+/events`;
export const ALL_REPLIES = `${ROOT}/+/reply`;

/** The gateway of a topic of ours, or undefined. */
export function gatewayOfTopic(topic: string): string | undefined {
  const match = /^branchbox\/v1\/gw\/([^/]+)\/(desired|status|events|cmd|reply)$/.exec(topic);
  return match?.[1];
}

/**
 * What is done only on the word of whoever signs desired states: the broker is not trusted with it. Signed over these
 * very bytes (JWS). It holds for one life of one box: a reset box makes itself another WireGuard key, so an order that
 * somebody kept and sends again is void.
 */
export const Order = z.discriminatedUnion('order', [
  z.strictObject({
    schema: z.literal(1),
    order: z.literal('factory-reset'),
    gatewayId: GatewayId,
    wireguardPublicKey: WireGuardPublicKey,
  }),
  z.strictObject({
    schema: z.literal(1),
    order: z.literal('test-uplinks'),
    gatewayId: GatewayId,
    wireguardPublicKey: WireGuardPublicKey,
    /** Milliseconds since 1970. Sent again later it must not spend a metered line's volume. */
    notAfterMs: z.int().min(0),
    request: UplinkTestRequest,
  }),
  /** Go to another controller, and come back by yourself where it does not take you. */
  z.strictObject({
    schema: z.literal(1),
    order: z.literal('move'),
    gatewayId: GatewayId,
    wireguardPublicKey: WireGuardPublicKey,
    serial: Serial,
    /** SHA-256 of the factory key, as in SubjectPublicKeyInfo. */
    idevidSpkiSha256: z.string().regex(/^[0-9a-f]{64}$/),
    /** Grows with each order of this owner: a box takes none twice. */
    generation: z.int().min(1),
    /** Milliseconds since 1970. Not begun later. */
    notAfterMs: z.int().min(0),
    withinS: z.int().min(MOVE_WITHIN_S.min).max(MOVE_WITHIN_S.max),
    ...nextOwnerShape,
  }),
]);
export type Order = z.output<typeof Order>;
/** A move carries three artefacts of the next owner. */
export const ORDER_MAX_BYTES = 24 * 1024;

/** `/cmd`: controller to box. The answer to `proof` and `events` arrives here, since the box may read only this. */
export const Command = z.discriminatedUnion('kind', [
  /** The controller's answer to a proof request: it is there, and reads this box. */
  z.strictObject({ kind: z.literal('proof'), nonce: z.string().max(64) }),
  /** Events up to and including this id are stored; the outbox may drop them. */
  z.strictObject({ kind: z.literal('events-stored'), ids: z.array(z.string().max(80)).max(500) }),
  z.strictObject({ kind: z.literal('resync'), id: z.string().max(64) }),
  /** The uplink report of this id is stored. */
  z.strictObject({ kind: z.literal('report-stored'), id: z.string().max(64) }),
  z.strictObject({ kind: z.literal('order'), id: z.string().max(64), jws: z.string().max(48 * 1024) }),
]);
export type Command = z.output<typeof Command>;

/** Of the sentence that answers a command. */
export const REPLY_MESSAGE_MAX_CHARS = 2000;

/** `/reply`: box to controller. */
export const Reply = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('proof-request'), gatewayId: GatewayId, nonce: z.string().max(64) }),
  z.strictObject({
    kind: z.literal('done'),
    id: z.string().max(64),
    ok: z.boolean(),
    message: z.string().max(REPLY_MESSAGE_MAX_CHARS),
  }),
  /** Left with the broker at CONNECT (MQTT 5, 3.1.2.5): it says so when the session ended, however it did. */
  z.strictObject({ kind: z.literal('gone'), gatewayId: GatewayId }),
  /** Sent until `report-stored` names it. */
  z.strictObject({ kind: z.literal('uplink-report'), gatewayId: GatewayId, report: UplinkReport }),
]);
export type Reply = z.output<typeof Reply>;

/** `/events`: what happened, oldest first; kept by the box until `events-stored` names each id. */
export const EventBatch = z.strictObject({
  gatewayId: GatewayId,
  events: z.array(GatewayEvent).min(1).max(500),
});
export type EventBatch = z.output<typeof EventBatch>;

/** Caps on messages, bytes; docs/mqtt.md. */
export const MESSAGE_MAX_BYTES = {
  status: 2 * 1024 * 1024,
  events: 256 * 1024,
  cmd: 64 * 1024,
  reply: 64 * 1024,
} as const;
/** Room for MQTT's own header and properties about the largest message. */
export const PACKET_OVERHEAD_BYTES = 64 * 1024;
