/**
 * Owns events in memory alone, for as long as there is no durable outbox.
 */
import type { GatewayEvent } from '../model/status.ts';
import type { EventQueue } from './reporting.ts';

const MAX_EVENTS = 1000;

export function createMemoryQueue(bootId: string): EventQueue & { close(): void } {
  let events: GatewayEvent[] = [];
  let number = 0;
  return {
    add(event) {
      number += 1;
      events = [...events, { id: `${bootId}/${process.pid}-${number}`, ...event }].slice(-MAX_EVENTS);
    },
    pending: (limit) => events.slice(0, limit),
    stored(ids) {
      events = events.filter(({ id }) => !ids.includes(id));
    },
    close() {},
  };
}
