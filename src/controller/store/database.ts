/**
 * Owns the SQLite file: opening it, its tables, typed rows and transactions.
 * Does not own any query (sqlite*.ts beside it).
 */
import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { z } from 'zod';
import { decode } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';

export interface Database {
  run(sql: string, ...parameters: SQLInputValue[]): number;
  all<S extends z.ZodType>(row: S, sql: string, ...parameters: SQLInputValue[]): z.output<S>[];
  get<S extends z.ZodType>(row: S, sql: string, ...parameters: SQLInputValue[]): z.output<S> | undefined;
  transaction<T>(body: () => T): T;
  close(): void;
}

/** Each step is applied once, in order; a step is never edited after a release. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE fleet (
    revision INTEGER PRIMARY KEY, document TEXT NOT NULL, allocations TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE inventory (
    serial TEXT PRIMARY KEY, model TEXT, approved INTEGER NOT NULL, state TEXT NOT NULL,
    issuer_key_id TEXT, spki_sha256 TEXT, bound_at_ms INTEGER,
    progress_type TEXT, progress_message TEXT, progress_at_ms INTEGER, created_at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE quarantine (
    serial TEXT NOT NULL, spki_sha256 TEXT NOT NULL, first_seen_ms INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (serial, spki_sha256)) STRICT;
  CREATE TABLE certificates (
    fingerprint_sha256 TEXT PRIMARY KEY, number TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    serial TEXT, not_after_ms INTEGER NOT NULL, pem TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE desired (
    gateway_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, generation INTEGER NOT NULL, digest TEXT NOT NULL,
    spec_digest TEXT NOT NULL, jws TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE status (
    gateway_id TEXT PRIMARY KEY, received_at_ms INTEGER NOT NULL, public_key TEXT NOT NULL,
    document TEXT NOT NULL) STRICT;
  CREATE TABLE events (
    gateway_id TEXT NOT NULL, id TEXT NOT NULL, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    sentence TEXT NOT NULL, received_at_ms INTEGER NOT NULL, PRIMARY KEY (gateway_id, id)) STRICT;
  CREATE INDEX events_by_time ON events (received_at_ms);
  CREATE TABLE bundles (sha256 TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    subject TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
  `,
  'CREATE INDEX audit_by_actor ON audit (actor, number)',
  `
  CREATE TABLE firmware (version TEXT PRIMARY KEY, manifest TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE firmware_parts (sha256 TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, at_ms INTEGER NOT NULL) STRICT;
  `,
  'ALTER TABLE certificates ADD COLUMN revoked_at_ms INTEGER',
  `
  ALTER TABLE inventory ADD COLUMN two_factor INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE activations (
    serial TEXT PRIMARY KEY REFERENCES inventory (serial) ON DELETE CASCADE, salt TEXT NOT NULL,
    code_digest TEXT NOT NULL, link_sha256 TEXT, ends_at_ms INTEGER NOT NULL, tries_left INTEGER NOT NULL) STRICT;
  `,
  `
  CREATE TABLE uplink_reports (
    gateway_id TEXT NOT NULL, id TEXT NOT NULL, received_at_ms INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (gateway_id, id)) STRICT;
    `,
  `
  ALTER TABLE inventory ADD COLUMN joined TEXT;
  CREATE TABLE pending (
    serial TEXT NOT NULL, spki_sha256 TEXT NOT NULL, state TEXT NOT NULL, document TEXT NOT NULL,
    last_seen_ms INTEGER NOT NULL, PRIMARY KEY (serial, spki_sha256)) STRICT;
  CREATE TABLE claims (code TEXT PRIMARY KEY, gateway_id TEXT NOT NULL, ends_at_ms INTEGER NOT NULL) STRICT;
  `,
  'ALTER TABLE inventory ADD COLUMN move TEXT',
  `
  ALTER TABLE activations DROP COLUMN tries_left;
  CREATE TABLE activation_tries (
    serial TEXT NOT NULL REFERENCES activations (serial) ON DELETE CASCADE, spki_sha256 TEXT NOT NULL,
    taken INTEGER NOT NULL, last_at_ms INTEGER NOT NULL, PRIMARY KEY (serial, spki_sha256)) STRICT;
  `,
];

/** `:memory:` or a file, readable by its owner alone: it holds what every box runs. */
export function openDatabase(path: string): Database {
  const connection = new DatabaseSync(path);
  if (path !== ':memory:') chmodSync(path, 0o600);
  // FULL: a generation that was published must not be forgotten, or the next one would reuse its number.
  connection.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON',
  );
  migrate(connection, path);
  return wrap(connection);
}

function wrap(connection: DatabaseSync): Database {
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();
  const prepare = (sql: string) => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const statement = connection.prepare(sql);
    statements.set(sql, statement);
    return statement;
  };
  return {
    run: (sql, ...parameters) => Number(prepare(sql).run(...parameters).changes),
    all: (row, sql, ...parameters) =>
      prepare(sql)
        .all(...parameters)
        .map((found) => decode(row, found, 'a row of the database')),
    get(row, sql, ...parameters) {
      const found = prepare(sql).get(...parameters);
      return found === undefined ? undefined : decode(row, found, 'a row of the database');
    },
    close: () => connection.close(),
    transaction(body) {
      connection.exec('BEGIN IMMEDIATE');
      try {
        const result = body();
        connection.exec('COMMIT');
        return result;
      } catch (thrown) {
        // A full disk or a failed read ends the transaction in SQLite itself (lang_transaction.html, "Response To Errors").
        if (connection.isTransaction) connection.exec('ROLLBACK');
        throw thrown;
      }
    },
  };
}

function migrate(connection: DatabaseSync, path: string): void {
  const row = connection.prepare('PRAGMA user_version').get();
  const version = Number(row?.['user_version'] ?? 0);
  if (version > MIGRATIONS.length) {
    // Its tables are not those that the queries here are written for: some would fail, others lose what they do not know.
    throw new BranchboxError('controller/conflict', {
      message: `${path} was written by a later version of the controller: it is at step ${version}, this version knows ${MIGRATIONS.length}`,
      mend: 'start that version again, or put back a copy of the database from before it, and start once with --raise-epoch',
    });
  }
  MIGRATIONS.slice(version).forEach((step, index) => {
    connection.exec(`BEGIN IMMEDIATE; ${step}; PRAGMA user_version = ${version + index + 1}; COMMIT`);
  });
}
