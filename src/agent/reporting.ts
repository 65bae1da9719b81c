/**
 * Owns telling the controller: the status when it changed, events until they are stored there.
 * Does not own what a status says (telemetry), nor the connection.
 */
import { MESSAGE_MAX_BYTES, type EventBatch } from '../model/mqtt.ts';
import { EVENT_MAX_CHARS, type GatewayEvent, type GatewayStatus, STATUS_SCHEMA } from '../model/status.ts';
import { asBranchboxError } from '../model/errors.ts';
import { sameSpec } from '../reconcile/equal.ts';
import type { Clock, Files, Logger } from '../system/ports.ts';
import { createWaker } from '../system/waker.ts';
import { eventsOf } from './statusEvents.ts';

/** What changes together is told together. */
const DEBOUNCE_MS = 200;
/** A status this old is told again, changed or not: its figures (ages) move without a change. */
const REFRESH_MS = 60_000;
/** The controller stores a batch and says so; if it did not by now, the batch or the word was lost. */
const STORED_TIMEOUT_MS = 10_000;
const BATCH_EVENTS = 100;
/** The box is looked at this often without an event: segments and sessions tell no kernel. Sockets and files, no process. */
const LOOK_MS = 5000;

/** gatewayId is undefined before the box has an owner: then there is nobody to tell. */
export type StatusBody = Omit<GatewayStatus, 'schema' | 'sequence' | 'sentAtMs' | 'gatewayId'> & {
  readonly gatewayId: string | undefined;
};

/** Events until the controller has them, over outages and restarts. */
export interface EventQueue {
  add(event: Pick<GatewayEvent, 'atMs' | 'kind' | 'subject' | 'sentence'>): void;
  /** Oldest first. */
  pending(limit: number): readonly GatewayEvent[];
  stored(ids: readonly string[]): void;
}

export interface Reporting {
  run(signal: AbortSignal): Promise<void>;
  /** Something that a status tells may have changed. */
  changed(): void;
  /** A new connection knows nothing yet. */
  connected(): void;
  emit(kind: GatewayEvent['kind'], subject: string, sentence: string): void;
  stored(ids: readonly string[]): void;
  /** The last that was read; undefined before the first. */
  latest(): StatusBody | undefined;
}

export async function createReporting(parts: {
  /** Anew from the box. */
  readonly read: (signal: AbortSignal) => Promise<StatusBody>;
  readonly onStatus: (status: StatusBody) => void;
  /** After each look at the box, whether it could be read or not. */
  readonly onTurn: () => void;
  readonly send: (topic: 'status' | 'events', text: string) => Promise<boolean>;
  readonly queue: EventQueue;
  readonly files: Files;
  readonly sequencePath: string;
  readonly clock: Clock;
  readonly log: Logger;
}): Promise<Reporting> {
  const { clock, log, files, queue } = parts;
  let sequence = Number((await files.readText(parts.sequencePath, 64)) ?? '0') || 0;
  let body: StatusBody | undefined;
  let told: StatusBody | undefined;
  let toldAtMs = 0;
  let batchSentAtMs: number | undefined;
  const waker = createWaker(clock);

  const emit: Reporting['emit'] = (kind, subject, sentence) => {
    queue.add({
      atMs: clock.nowMs(),
      kind,
      subject: subject.slice(0, EVENT_MAX_CHARS.subject),
      sentence: sentence.slice(0, EVENT_MAX_CHARS.sentence),
    });
    waker.wake();
  };

  const readStatus = async (signal: AbortSignal): Promise<void> => {
    const fresh = await parts.read(signal);
    for (const event of eventsOf(body, fresh)) emit(event.kind, event.subject, event.sentence);
    body = fresh;
    parts.onStatus(fresh);
  };

  const tellStatus = async (): Promise<void> => {
    const gatewayId = body?.gatewayId;
    if (body === undefined || gatewayId === undefined) return;
    const due = clock.monotonicMs() - toldAtMs >= REFRESH_MS;
    if (told !== undefined && !due && sameSpec(withoutAges(told), withoutAges(body))) return;
    sequence += 1;
    await files.writeDurable(parts.sequencePath, String(sequence));
    const status: GatewayStatus = {
      schema: STATUS_SCHEMA,
      ...body,
      gatewayId,
      sequence,
      sentAtMs: clock.nowMs(),
    };
    const text = JSON.stringify(status);
    const bytes = Buffer.byteLength(text);
    if (bytes > MESSAGE_MAX_BYTES.status) log.error('the status is too large', { bytes });
    else if (await parts.send('status', text)) {
      told = body;
      toldAtMs = clock.monotonicMs();
    }
  };

  const tellEvents = async (): Promise<void> => {
    if (body?.gatewayId === undefined) return;
    if (batchSentAtMs !== undefined && clock.monotonicMs() - batchSentAtMs < STORED_TIMEOUT_MS) return;
    const batch = fitting(body.gatewayId, queue.pending(BATCH_EVENTS));
    if (batch === undefined) return;
    batchSentAtMs = (await parts.send('events', batch)) ? clock.monotonicMs() : undefined;
  };

  return {
    emit,
    changed: () => waker.wake(),
    latest: () => body,
    connected() {
      told = undefined;
      batchSentAtMs = undefined;
      waker.wake();
    },
    stored(ids) {
      queue.stored(ids);
      batchSentAtMs = undefined;
      waker.wake();
    },
    async run(signal) {
      while (!signal.aborted) {
        // What woke it until now is looked at now.
        await waker.rest(0, signal);
        try {
          await readStatus(signal);
          await Promise.all([tellStatus(), tellEvents()]);
        } catch (thrown) {
          if (!signal.aborted)
            log.warn('the status cannot be read or told', { error: asBranchboxError(thrown) });
        }
        parts.onTurn();
        await waker.rest(LOOK_MS, signal);
        if (signal.aborted) return;
        await clock.sleep(DEBOUNCE_MS, signal).catch(() => undefined);
      }
    },
  };
}

/** Ages move at every look; they alone are no change. */
function withoutAges(body: StatusBody): unknown {
  return { ...body, paths: body.paths.map((path) => ({ ...path, handshakeAgeS: undefined })) };
}

/** As many of the oldest as a message may hold. */
function fitting(gatewayId: string, events: readonly GatewayEvent[]): string | undefined {
  let list = [...events];
  while (list.length > 0) {
    const batch: EventBatch = { gatewayId, events: list };
    const text = JSON.stringify(batch);
    if (Buffer.byteLength(text) <= MESSAGE_MAX_BYTES.events) return text;
    list = list.slice(0, Math.floor(list.length / 2));
  }
  return undefined;
}
