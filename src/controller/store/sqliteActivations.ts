/**
 * Owns activations in SQLite: for a serial at most one code that is valid, as a digest, with the tries that are left.
 */
import { z } from 'zod';
import type { Database } from './database.ts';
import type { Store } from './store.ts';

const Row = z.object({
  serial: z.string(),
  salt: z.string(),
  codeDigest: z.string(),
  linkSha256: z.string().nullable(),
  endsAtMs: z.number(),
  triesLeft: z.int(),
});
const COLUMNS =
  'serial, salt, code_digest AS codeDigest, link_sha256 AS linkSha256, ends_at_ms AS endsAtMs, tries_left AS triesLeft';

export function createActivationStore(database: Database): Store['activations'] {
  const get = (serial: string) => {
    const row = database.get(Row, `SELECT ${COLUMNS} FROM activations WHERE serial = ?`, serial);
    return row === undefined ? undefined : { ...row, linkSha256: row.linkSha256 ?? undefined };
  };
  return {
    async put(record) {
      database.run(
        `INSERT OR REPLACE INTO activations (serial, salt, code_digest, link_sha256, ends_at_ms, tries_left)
         VALUES (?, ?, ?, ?, ?, ?)`,
        record.serial,
        record.salt,
        record.codeDigest,
        record.linkSha256 ?? null,
        record.endsAtMs,
        record.triesLeft,
      );
    },
    async get(serial) {
      return get(serial);
    },
    async takeTry(serial) {
      return database.transaction(() => {
        const sql = 'UPDATE activations SET tries_left = tries_left - 1 WHERE serial = ? AND tries_left > 0';
        return database.run(sql, serial) === 1 ? get(serial) : undefined;
      });
    },
    async remove(serial) {
      return database.run('DELETE FROM activations WHERE serial = ?', serial) === 1;
    },
  };
}
