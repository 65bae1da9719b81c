/**
 * Owns boxes that wait for an approval, and claim codes whose box was not seen yet, in SQLite: both bounded, since what
 * fills them comes from outside. Does not own who is put there (pending.ts).
 */
import { z } from 'zod';
import { decodeJson } from '../../model/decode.ts';
import type { Database } from './database.ts';
import { OpenClaim, PendingBox } from './entities.ts';
import type { Store } from './store.ts';

/** Of each state. Filling the list takes that many factory identities; a box that waits keeps its line. */
const MAX_BOXES = 1_000;
/** One that claims another's serial must not hide it, and many must not fill the list. */
const MAX_KEYS_OF_SERIAL = 4;
const MAX_CLAIMS = 1_000;

const Row = z.object({ document: z.string() });
const Count = z.object({ count: z.int() });

export function createPendingStore(database: Database): Store['pending'] {
  const boxes = (where: string, ...parameters: string[]): PendingBox[] =>
    database
      .all(Row, `SELECT document FROM pending ${where}`, ...parameters)
      .map(({ document }) => decodeJson(PendingBox, document, 'a box that waits'));
  const count = (where: string, ...parameters: string[]): number =>
    database.get(Count, `SELECT count(*) AS count FROM pending WHERE ${where}`, ...parameters)?.count ?? 0;
  const write = (box: PendingBox): void => {
    database.run(
      'INSERT OR REPLACE INTO pending (serial, spki_sha256, state, document, last_seen_ms) VALUES (?, ?, ?, ?, ?)',
      box.serial,
      box.spkiSha256,
      box.state,
      JSON.stringify(box),
      box.lastSeenMs,
    );
  };
  return {
    async list() {
      return boxes('ORDER BY serial, spki_sha256');
    },
    async ofSerial(serial) {
      return boxes('WHERE serial = ? ORDER BY spki_sha256', serial);
    },
    async see(box) {
      return database.transaction(() => {
        const isKnown = count('serial = ? AND spki_sha256 = ?', box.serial, box.spkiSha256) === 1;
        if (
          !isKnown &&
          (count("state = 'waiting'") >= MAX_BOXES || count('serial = ?', box.serial) >= MAX_KEYS_OF_SERIAL)
        ) {
          return 'full';
        }
        write(box);
        return isKnown ? 'again' : 'new';
      });
    },
    async deny(serial, spkiSha256) {
      database.transaction(() => {
        const [box] = boxes('WHERE serial = ? AND spki_sha256 = ?', serial, spkiSha256);
        if (box === undefined) return;
        write({ ...box, state: 'denied' });
        database.run(
          `DELETE FROM pending WHERE state = 'denied' AND rowid NOT IN
             (SELECT rowid FROM pending WHERE state = 'denied' ORDER BY last_seen_ms DESC LIMIT ${MAX_BOXES})`,
        );
      });
    },
    async remove(serial, spkiSha256) {
      return spkiSha256 === undefined
        ? database.run('DELETE FROM pending WHERE serial = ?', serial)
        : database.run('DELETE FROM pending WHERE serial = ? AND spki_sha256 = ?', serial, spkiSha256);
    },
    async forget({ waitingMs, deniedMs }) {
      database.run("DELETE FROM pending WHERE state = 'waiting' AND last_seen_ms < ?", waitingMs);
      database.run("DELETE FROM pending WHERE state = 'denied' AND last_seen_ms < ?", deniedMs);
    },
  };
}

export function createClaimStore(database: Database): Store['claims'] {
  const ALL = 'SELECT code, gateway_id AS gatewayId, ends_at_ms AS endsAtMs FROM claims';
  return {
    async list() {
      return database.all(OpenClaim, `${ALL} ORDER BY code`);
    },
    async put({ code, gatewayId, endsAtMs }, nowMs) {
      return database.transaction(() => {
        database.run('DELETE FROM claims WHERE ends_at_ms <= ? OR code = ?', nowMs, code);
        const open = database.get(Count, 'SELECT count(*) AS count FROM claims')?.count ?? 0;
        if (open >= MAX_CLAIMS) return false;
        const sql = 'INSERT INTO claims (code, gateway_id, ends_at_ms) VALUES (?, ?, ?)';
        return database.run(sql, code, gatewayId, endsAtMs) === 1;
      });
    },
    async get(code) {
      return database.get(OpenClaim, `${ALL} WHERE code = ?`, code);
    },
    async remove(code) {
      return database.run('DELETE FROM claims WHERE code = ?', code) === 1;
    },
  };
}
