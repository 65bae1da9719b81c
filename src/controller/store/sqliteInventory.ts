/**
 * Owns the inventory in SQLite: serials, the identity bound to each, and keys that were turned away, orders to move.
 */
import { z } from 'zod';
import { decodeJson } from '../../model/decode.ts';
import type { Database } from './database.ts';
import { InventoryEntry, InventoryMove } from './entities.ts';
import type { Store } from './store.ts';

const COLUMNS = `serial, model, approved, two_factor AS twoFactor, state, issuer_key_id AS issuerKeyId, spki_sha256 AS spkiSha256,
  bound_at_ms AS boundAtMs, progress_type AS progressType, progress_message AS progressMessage,
  progress_at_ms AS progressAtMs, joined, move, created_at_ms AS createdAtMs`;
const Row = z.object({
  serial: z.string(),
  model: z.string().nullable(),
  approved: z.int(),
  twoFactor: z.int(),
  state: InventoryEntry.shape.state,
  issuerKeyId: z.string().nullable(),
  spkiSha256: z.string().nullable(),
  boundAtMs: z.number().nullable(),
  progressType: z.string().nullable(),
  progressMessage: z.string().nullable(),
  progressAtMs: z.number().nullable(),
  joined: InventoryEntry.shape.joined.unwrap().nullable(),
  move: z.string().nullable(),
  createdAtMs: z.number(),
});
const QuarantineRow = z.object({
  serial: z.string(),
  spkiSha256: z.string(),
  firstSeenMs: z.number(),
  reason: z.string(),
});
const QUARANTINE =
  'SELECT serial, spki_sha256 AS spkiSha256, first_seen_ms AS firstSeenMs, reason FROM quarantine';
/** Keys remembered for one serial: a flood of forged ones must not fill the disk. */
const MAX_QUARANTINED = 16;

export function createInventoryStore(database: Database): Store['inventory'] {
  const get = (serial: string) => {
    const row = database.get(Row, `SELECT ${COLUMNS} FROM inventory WHERE serial = ?`, serial);
    if (row === undefined) return undefined;
    return toEntry(row, database.all(QuarantineRow, `${QUARANTINE} WHERE serial = ?`, serial));
  };
  return {
    async list() {
      const turnedAway = database.all(QuarantineRow, QUARANTINE);
      return database.all(Row, `SELECT ${COLUMNS} FROM inventory ORDER BY serial`).map((row) =>
        toEntry(
          row,
          turnedAway.filter((key) => key.serial === row.serial),
        ),
      );
    },
    async get(serial) {
      return get(serial);
    },
    async add(serial, { model, approved, twoFactor, joined }, atMs) {
      const changed = database.run(
        `INSERT INTO inventory (serial, model, approved, two_factor, state, joined, created_at_ms)
         VALUES (?, ?, ?, ?, 'expected', ?, ?) ON CONFLICT DO NOTHING`,
        serial,
        model ?? null,
        approved ? 1 : 0,
        twoFactor === true ? 1 : 0,
        joined ?? null,
        atMs,
      );
      return changed === 1;
    },
    async update(serial, change) {
      if (change.approved !== undefined) {
        database.run('UPDATE inventory SET approved = ? WHERE serial = ?', change.approved ? 1 : 0, serial);
      }
      if (change.twoFactor !== undefined) {
        const sql = 'UPDATE inventory SET two_factor = ? WHERE serial = ?';
        database.run(sql, change.twoFactor ? 1 : 0, serial);
      }
      if (change.joined !== undefined) {
        database.run('UPDATE inventory SET joined = ? WHERE serial = ?', change.joined, serial);
      }
      if (change.state !== undefined) {
        database.run('UPDATE inventory SET state = ? WHERE serial = ?', change.state, serial);
      }
    },
    async remove(serial) {
      database.transaction(() => {
        database.run('DELETE FROM inventory WHERE serial = ?', serial);
        database.run('DELETE FROM quarantine WHERE serial = ?', serial);
      });
    },
    async bind(serial, identity, atMs) {
      return database.transaction(() => {
        database.run(
          `UPDATE inventory SET issuer_key_id = ?, spki_sha256 = ?, bound_at_ms = ?
           WHERE serial = ? AND spki_sha256 IS NULL`,
          identity.issuerKeyId,
          identity.spkiSha256,
          atMs,
          serial,
        );
        const bound = get(serial)?.identity;
        return bound?.spkiSha256 === identity.spkiSha256 && bound.issuerKeyId === identity.issuerKeyId;
      });
    },
    async quarantine(serial, spkiSha256, reason, atMs) {
      database.run(
        `INSERT INTO quarantine (serial, spki_sha256, first_seen_ms, reason)
         SELECT ?, ?, ?, ? WHERE (SELECT count(*) FROM quarantine WHERE serial = ?) < ${MAX_QUARANTINED}
         ON CONFLICT DO NOTHING`,
        serial,
        spkiSha256,
        atMs,
        reason,
        serial,
      );
    },
    async recordProgress(serial, type, message, atMs) {
      database.run(
        'UPDATE inventory SET progress_type = ?, progress_message = ?, progress_at_ms = ? WHERE serial = ?',
        type,
        message ?? null,
        atMs,
        serial,
      );
    },
    async recordMove(serial, move) {
      const document = move === undefined ? null : JSON.stringify(move);
      database.run('UPDATE inventory SET move = ? WHERE serial = ?', document, serial);
    },
  };
}

function toEntry(
  row: z.output<typeof Row>,
  quarantined: readonly z.output<typeof QuarantineRow>[],
): InventoryEntry {
  const { issuerKeyId, spkiSha256, boundAtMs, progressType, progressMessage, progressAtMs } = row;
  return {
    serial: row.serial,
    ...(row.model === null ? {} : { model: row.model }),
    approved: row.approved === 1,
    twoFactor: row.twoFactor === 1,
    ...(issuerKeyId === null || spkiSha256 === null || boundAtMs === null
      ? {}
      : { identity: { issuerKeyId, spkiSha256, boundAtMs } }),
    state: row.state,
    quarantined: quarantined.map(({ spkiSha256, firstSeenMs, reason }) => ({
      spkiSha256,
      firstSeenMs,
      reason,
    })),
    ...(progressType === null || progressAtMs === null
      ? {}
      : {
          progress: {
            type: progressType,
            ...(progressMessage === null ? {} : { message: progressMessage }),
            atMs: progressAtMs,
          },
        }),
    ...(row.joined === null ? {} : { joined: row.joined }),
    ...(row.move === null ? {} : { move: decodeJson(InventoryMove, row.move, 'a move in the database') }),
    createdAtMs: row.createdAtMs,
  };
}
