/**
 * Owns what is kept of each gateway in SQLite: the desired state sent to it, its last status, its events.
 */
import { z } from 'zod';
import { tryDecode, withoutUnknown } from '../../model/decode.ts';
import { GatewayEvent, GatewayStatus } from '../../model/status.ts';
import type { Database } from './database.ts';
import { readPage } from './paging.ts';
import type { StatusRecord } from './entities.ts';
import type { Store } from './store.ts';

/** Oldest go first above this; a box that floods fills only its own share. */
const EVENTS_PER_GATEWAY = 10_000;
const DESIRED = `SELECT gateway_id AS gatewayId, epoch, generation, digest, spec_digest AS specDigest, jws FROM desired`;
const DesiredRow = z.object({
  gatewayId: z.string(),
  epoch: z.int(),
  generation: z.int(),
  digest: z.string(),
  specDigest: z.string(),
  jws: z.string(),
});
const STATUS = 'SELECT gateway_id AS gatewayId, received_at_ms AS receivedAtMs, document FROM status';
const StatusRow = z.object({ gatewayId: z.string(), receivedAtMs: z.number(), document: z.string() });
const KEYS = `SELECT gateway_id AS gatewayId, public_key AS publicKey,
  json_extract(document, '$.facts.serial') AS serial FROM status`;
const KeyRow = z.object({ gatewayId: z.string(), publicKey: z.string(), serial: z.string() });
const EpochRow = z.object({ epoch: z.int().nullable() });
const EVENTS = `SELECT rowid AS number, gateway_id AS gatewayId, id, at_ms AS atMs, kind, subject, sentence,
  received_at_ms AS receivedAtMs FROM events`;
const EventRow = GatewayEvent.extend({ number: z.int(), gatewayId: z.string(), receivedAtMs: z.number() });

export function createGatewayStore(database: Database): Store['gateways'] {
  /** A status that another release stored may not fit this one's schema: as if the gateway had not reported yet. */
  const toStatus = (row: z.output<typeof StatusRow>): StatusRecord[] => {
    const decoded = tryDecode(GatewayStatus, withoutUnknown(GatewayStatus, JSON.parse(row.document)));
    const { gatewayId, receivedAtMs } = row;
    return decoded.ok ? [{ gatewayId, receivedAtMs, status: decoded.value }] : [];
  };
  return {
    async desired(gatewayId) {
      return database.get(DesiredRow, `${DESIRED} WHERE gateway_id = ?`, gatewayId);
    },
    async allDesired() {
      return database.all(DesiredRow, `${DESIRED} ORDER BY gateway_id`);
    },
    async putDesired(record, atMs) {
      database.run(
        `INSERT OR REPLACE INTO desired (gateway_id, epoch, generation, digest, spec_digest, jws, at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
        record.gatewayId,
        record.epoch,
        record.generation,
        record.digest,
        record.specDigest,
        record.jws,
        atMs,
      );
    },
    async signAnew(gatewayId, digest) {
      const sql = "UPDATE desired SET spec_digest = '' WHERE gateway_id = ? AND digest = ?";
      database.run(sql, gatewayId, digest);
    },
    async removeDesired(gatewayId) {
      // The number is kept: a gateway of that name that comes back must not be sent an old generation.
      database.run("UPDATE desired SET spec_digest = '', jws = '' WHERE gateway_id = ?", gatewayId);
    },
    async epoch() {
      const kept = database.get(
        EpochRow,
        "SELECT CAST(value AS INTEGER) AS epoch FROM meta WHERE key = 'epoch'",
      );
      const used = database.get(EpochRow, 'SELECT max(epoch) AS epoch FROM desired');
      return Math.max(kept?.epoch ?? 0, used?.epoch ?? 0);
    },
    async setEpoch(epoch) {
      database.run("INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', ?)", String(epoch));
    },
    async status(gatewayId) {
      const row = database.get(StatusRow, `${STATUS} WHERE gateway_id = ?`, gatewayId);
      return row === undefined ? undefined : toStatus(row)[0];
    },
    async allStatus() {
      return database.all(StatusRow, `${STATUS} ORDER BY gateway_id`).flatMap(toStatus);
    },
    async putStatus(status, atMs) {
      database.run(
        'INSERT OR REPLACE INTO status (gateway_id, received_at_ms, public_key, document) VALUES (?, ?, ?, ?)',
        status.gatewayId,
        atMs,
        status.facts.wireguardPublicKey,
        JSON.stringify(status),
      );
    },
    async removeStatus(gatewayId) {
      database.run('DELETE FROM status WHERE gateway_id = ?', gatewayId);
    },
    async publicKeys() {
      return new Map(database.all(KeyRow, KEYS).map((row) => [row.gatewayId, row.publicKey]));
    },
    async reportedKeys() {
      return database.all(KeyRow, KEYS);
    },
    async addEvents(gatewayId, events, atMs) {
      database.transaction(() => {
        for (const event of events) {
          database.run(
            `INSERT INTO events (gateway_id, id, at_ms, kind, subject, sentence, received_at_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
            gatewayId,
            event.id,
            event.atMs,
            event.kind,
            event.subject,
            event.sentence,
            atMs,
          );
        }
        database.run(
          `DELETE FROM events WHERE gateway_id = ?1 AND rowid NOT IN
           (SELECT rowid FROM events WHERE gateway_id = ?1 ORDER BY rowid DESC LIMIT ${EVENTS_PER_GATEWAY})`,
          gatewayId,
        );
      });
    },
    async events(gatewayId, page) {
      const only = gatewayId === undefined ? {} : { only: ['gateway_id', gatewayId] as const };
      return readPage(database, EventRow, { select: EVENTS, key: 'rowid', ...only }, page);
    },
  };
}
