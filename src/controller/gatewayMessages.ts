/**
 * Owns what becomes of a message from a gateway: decoded under its cap, believed only for the gateway whose topic it
 * came by, stored, answered. Does not own the connection (broker/link.ts).
 */
import { decodeNewerJson } from '../model/decode.ts';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import {
  type Command,
  EventBatch,
  gatewayOfTopic,
  MESSAGE_MAX_BYTES,
  Reply,
  topicsOf,
} from '../model/mqtt.ts';
import { GatewayStatus } from '../model/status.ts';
import type { Clock, Logger } from '../system/ports.ts';
import type { FleetService } from './fleetService.ts';
import type { Presence } from './presence.ts';
import type { Store } from './store/store.ts';

export interface GatewayMessagesOptions {
  readonly store: Store;
  readonly fleet: FleetService;
  readonly clock: Clock;
  readonly log: Logger;
  readonly command: (gatewayId: string, command: Command) => Promise<void>;
  readonly onDone: (gatewayId: string, reply: Extract<Reply, { kind: 'done' }>) => void;
  readonly presence: Pick<Presence, 'heard' | 'gone'>;
  /** A gateway reported something that others' designs depend on (its public key). */
  readonly onNewFacts: () => void;
}

/** Messages of one gateway that may wait while one is stored. More are dropped; a box sends again what was not stored. */
const MAX_WAITING = 64;

export type MessageHandler = (topic: string, payload: Buffer) => Promise<void>;

/** Never throws: a bad message is logged and forgotten. */
export function createMessageHandler(options: GatewayMessagesOptions): MessageHandler {
  const { fleet, log } = options;
  const byKind: Readonly<Record<string, (gatewayId: string, text: string) => Promise<void>>> = {
    status: (gatewayId, text) => takeStatus(options, gatewayId, text),
    events: (gatewayId, text) => takeEvents(options, gatewayId, text),
    reply: (gatewayId, text) => takeReply(options, gatewayId, text),
  };
  /** What a gateway sends is handled in its order, so that an older status never overwrites a newer one. */
  const queues = new Map<string, { readonly last: Promise<void>; readonly waiting: number }>();
  return (topic, payload) => {
    const gatewayId = gatewayOfTopic(topic) ?? '';
    const { last, waiting } = queues.get(gatewayId) ?? { last: Promise.resolve(), waiting: 0 };
    if (waiting >= MAX_WAITING) {
      log.debug('a gateway sends more than can be stored', { gatewayId });
      return last;
    }
    const next = last
      .then(() => take(topic, payload))
      .finally(() => {
        const left = queues.get(gatewayId);
        if (left === undefined || left.waiting <= 1) queues.delete(gatewayId);
        else queues.set(gatewayId, { ...left, waiting: left.waiting - 1 });
      });
    queues.set(gatewayId, { last: next, waiting: waiting + 1 });
    return next;
  };

  async function take(topic: string, payload: Buffer): Promise<void> {
    const gatewayId = gatewayOfTopic(topic);
    const handle = byKind[topic.slice(topic.lastIndexOf('/') + 1)];
    if (gatewayId === undefined || handle === undefined) return;
    // A retained topic that was cleared.
    if (payload.length === 0) return;
    try {
      const gateway = (await fleet.places()).find((candidate) => candidate.id === gatewayId);
      if (gateway === undefined) throw refusal(`no gateway of the fleet is named ${gatewayId}`);
      // Its session ends a moment later (revocations.ts); until then nothing it says is believed.
      const box =
        gateway.serial === undefined ? undefined : await options.store.inventory.get(gateway.serial);
      if (box?.state === 'revoked') {
        throw refusal(`the box of ${gatewayId} was revoked`);
      }
      await handle(gatewayId, payload.toString('utf8'));
    } catch (thrown) {
      log.warn('a message of a gateway was dropped', {
        topic,
        sizeBytes: payload.length,
        error: asBranchboxError(thrown),
      });
    }
  }
}

async function takeStatus(options: GatewayMessagesOptions, gatewayId: string, text: string): Promise<void> {
  const { store, clock } = options;
  const status = decodeNewerJson(GatewayStatus, text, 'a status', MESSAGE_MAX_BYTES.status);
  confine(gatewayId, status.gatewayId);
  const known = (await store.gateways.status(gatewayId))?.status;
  const isRepeat = known?.facts.bootId === status.facts.bootId && status.sequence <= known.sequence;
  // What the broker kept of a box that is off comes again with each connection to it.
  if (isRepeat) return;
  const publicKey = status.facts.wireguardPublicKey;
  if (known?.facts.wireguardPublicKey !== publicKey) {
    for (const [other, key] of await store.gateways.publicKeys()) {
      // One key at two gateways would take the other's traffic away from it.
      if (key === publicKey && other !== gatewayId) throw refusal(`its public key is that of ${other}`);
    }
  }
  await store.gateways.putStatus(status, clock.nowMs());
  options.presence.heard(gatewayId);
  if (known?.facts.wireguardPublicKey !== publicKey) options.onNewFacts();
}

async function takeEvents(options: GatewayMessagesOptions, gatewayId: string, text: string): Promise<void> {
  const batch = decodeNewerJson(EventBatch, text, 'a batch of events', MESSAGE_MAX_BYTES.events);
  confine(gatewayId, batch.gatewayId);
  options.presence.heard(gatewayId);
  await options.store.gateways.addEvents(gatewayId, batch.events, options.clock.nowMs());
  await options.command(gatewayId, { kind: 'events-stored', ids: batch.events.map((event) => event.id) });
}

async function takeReply(options: GatewayMessagesOptions, gatewayId: string, text: string): Promise<void> {
  const reply = decodeNewerJson(Reply, text, 'a reply', MESSAGE_MAX_BYTES.reply);
  switch (reply.kind) {
    case 'proof-request':
      confine(gatewayId, reply.gatewayId);
      options.presence.heard(gatewayId);
      return options.command(gatewayId, { kind: 'proof', nonce: reply.nonce });
    case 'done':
      options.log.info('a gateway answered', { gatewayId, id: reply.id, ok: reply.ok });
      options.onDone(gatewayId, reply);
      return undefined;
    case 'gone':
      confine(gatewayId, reply.gatewayId);
      options.presence.gone(gatewayId);
      return undefined;
    case 'uplink-report':
      confine(gatewayId, reply.gatewayId);
      await options.store.uplinkReports.add(gatewayId, reply.report, options.clock.nowMs());
      return options.command(gatewayId, { kind: 'report-stored', id: reply.report.id });
  }
}

function confine(gatewayId: string, claimed: string): void {
  if (gatewayId !== claimed) throw refusal(`${gatewayId} speaks in the name of ${claimed}`);
}

function refusal(message: string): BranchboxError {
  return new BranchboxError('controller/refused', { message });
}

export function commandTopic(gatewayId: string): string {
  return topicsOf(gatewayId).cmd;
}
