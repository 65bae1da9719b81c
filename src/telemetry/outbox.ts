/**
 * Owns events until the controller has them: on disk, over restarts, bounded in number and size. What is over the
 * bound goes oldest first, and is counted; when all that was left is stored, one more event tells how many went.
 * Does not own what an event is about, nor sending it.
 */
import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { randomUUID } from 'node:crypto';
import { GatewayEvent } from '../model/status.ts';
import type { Logger } from '../system/ports.ts';

type NewEvent = Pick<GatewayEvent, 'atMs' | 'kind' | 'subject' | 'sentence'>;

export interface Outbox {
  /** Durable when it returns (2.5 ms). Never throws: what cannot be kept is counted as dropped. */
  add(event: NewEvent): void;
  /** Oldest first. What cannot be read (a newer version's, after a roll-back) goes, and counts as dropped. */
  pending(limit: number): readonly GatewayEvent[];
  stored(ids: readonly string[]): void;
  /** Events dropped unsent, until the controller is told of them. */
  dropped(): number;
  close(): void;
}

export interface OutboxOptions {
  readonly path: string;
  readonly nowMs: () => number;
  readonly log: Pick<Logger, 'warn' | 'error'>;
  readonly maxEvents?: number;
  readonly maxBytes?: number;
}

const MAX_EVENTS = 10_000;
const MAX_BYTES = 8 * 1024 * 1024;

export function createOutbox(options: OutboxOptions): Outbox {
  const maxEvents = options.maxEvents ?? MAX_EVENTS;
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  const { database, origin } = openWhole(options.path, options.log);
  const insert = database.prepare('INSERT INTO event (body, bytes) VALUES (?, ?)');
  const oldest = database.prepare('SELECT number, body FROM event ORDER BY number LIMIT ?');
  const remove = database.prepare('DELETE FROM event WHERE number = ?');
  const figures = database.prepare('SELECT count(*) AS events, coalesce(sum(bytes), 0) AS bytes FROM event');
  const firstBytes = database.prepare('SELECT number, bytes FROM event ORDER BY number LIMIT 1');
  const readDropped = database.prepare("SELECT value FROM meta WHERE name = 'dropped'");
  const writeDropped = database.prepare(
    "INSERT INTO meta VALUES ('dropped', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
  );
  /** Events that the disk would not take (full, or failing): the box goes on without them. */
  let refused = 0;
  const dropped = (): number => Number(readDropped.get()?.['value'] ?? 0) + refused;
  const sizes = (): { events: number; bytes: number } => {
    const row = figures.get();
    return { events: Number(row?.['events'] ?? 0), bytes: Number(row?.['bytes'] ?? 0) };
  };
  // Counted once, then kept: a sum over 10,000 rows for each event would not be.
  let held = sizes();

  const countDropped = (lost: number): void => {
    writeDropped.run(String(Number(readDropped.get()?.['value'] ?? 0) + lost));
  };
  const keep = (body: string, bytes: number): void => {
    insert.run(body, bytes);
    held = { events: held.events + 1, bytes: held.bytes + bytes };
    let lost = 0;
    while (held.events > 1 && (held.events > maxEvents || held.bytes > maxBytes)) {
      const first = firstBytes.get();
      if (first === undefined) break;
      remove.run(first['number'] ?? 0);
      held = { events: held.events - 1, bytes: held.bytes - Number(first['bytes']) };
      lost += 1;
    }
    if (lost > 0) countDropped(lost);
  };

  /** Behind all that was kept, when no more can go: so the number is whole, and is told once. */
  const tellLoss = (): void => {
    const body = JSON.stringify({
      atMs: options.nowMs(),
      kind: 'events-dropped',
      subject: 'outbox',
      sentence: `${dropped()} events were dropped unsent, the oldest first, since the controller took none for long.`,
    } satisfies NewEvent);
    try {
      inTransaction(database, () => {
        keep(body, Buffer.byteLength(body));
        writeDropped.run('0');
      });
      refused = 0;
    } catch {
      // The disk takes nothing: the count stays for the next time.
      held = sizes();
    }
  };

  return {
    dropped,
    add(event) {
      const body = JSON.stringify(event);
      try {
        inTransaction(database, () => keep(body, Buffer.byteLength(body)));
      } catch {
        refused += 1;
        held = sizes();
      }
    },
    pending(limit) {
      for (;;) {
        const rows = oldest.all(limit).map((row) => {
          const number = Number(row['number']);
          return { number, event: eventOf(String(row['body']), `${origin}/${number}`) };
        });
        const unreadable = rows.filter(({ event }) => event === undefined);
        if (unreadable.length === 0) return rows.flatMap(({ event }) => event ?? []);
        // Otherwise they would block everything behind them.
        inTransaction(database, () => {
          for (const { number } of unreadable) remove.run(number);
          countDropped(unreadable.length);
        });
        held = sizes();
      }
    },
    stored(ids) {
      inTransaction(database, () => {
        for (const id of ids) {
          const [from, number] = id.split('/');
          if (from === origin && /^\d{1,15}$/.test(number ?? '')) remove.run(Number(number));
        }
      });
      held = sizes();
      if (held.events === 0 && dropped() > 0) tellLoss();
    },
    close: () => database.close(),
  };
}

interface Opened {
  readonly database: DatabaseSync;
  /** Told apart from another outbox's after a lost file: ids must not repeat. */
  readonly origin: string;
}

/**
 * Damaged (rescode.html): CORRUPT, NOTADB, and IOERR_READ, IOERR_SHORT_READ, IOERR_CORRUPTFS. Any other code may be of a
 * disk that takes nothing now, and says nothing of the events on it.
 */
const DAMAGED: readonly unknown[] = [11, 26, 266, 522, 8458];

/**
 * A damaged file is put aside: old events are worth less than a box that starts. So are new ones: where the disk takes
 * nothing, they are in memory, and those on disk wait for the next start.
 */
function openWhole(path: string, log: OutboxOptions['log']): Opened {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    try {
      return open(path);
    } catch (thrown) {
      if (!(thrown instanceof Error && 'errcode' in thrown && DAMAGED.includes(thrown.errcode))) throw thrown;
      log.warn('events that cannot be read are put aside', { path: `${path}.broken`, error: thrown });
      renameSync(path, `${path}.broken`);
      for (const suffix of ['-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
      return open(path);
    }
  } catch (thrown) {
    log.error('events are kept in memory alone until the agent starts again', { path, error: thrown });
    return open(':memory:');
  }
}

function open(path: string): Opened {
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000');
    // Numbers are never used twice: the controller tells repeats by them.
    database.exec(
      'CREATE TABLE IF NOT EXISTS event (number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, bytes INTEGER NOT NULL);' +
        'CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)',
    );
    // Opening reads the first page alone; this reads every event.
    database.prepare('SELECT sum(length(body)) FROM event').get();
    if (path !== ':memory:') chmodSync(path, 0o600);
    return { database, origin: originOf(database) };
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

function originOf(database: DatabaseSync): string {
  database.prepare("INSERT INTO meta VALUES ('origin', ?) ON CONFLICT DO NOTHING").run(randomUUID());
  return String(database.prepare("SELECT value FROM meta WHERE name = 'origin'").get()?.['value']);
}

function inTransaction(database: DatabaseSync, change: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    change();
    database.exec('COMMIT');
  } catch (thrown) {
    // A full disk or a failed read ends the transaction in SQLite itself (lang_transaction.html, "Response To Errors").
    if (database.isTransaction) database.exec('ROLLBACK');
    throw thrown;
  }
}

function eventOf(body: string, id: string): GatewayEvent | undefined {
  try {
    return GatewayEvent.parse({ id, ...JSON.parse(body) });
  } catch {
    return undefined;
  }
}
