/**
 * Owns activations in SQLite: for a serial at most one code that is valid, as a digest, and what each key tried of it.
 */
import { z } from 'zod';
import type { Database } from './database.ts';
import { ActivationTries } from './entities.ts';
import type { Store } from './store.ts';

const Row = z.object({
  serial: z.string(),
  salt: z.string(),
  codeDigest: z.string(),
  linkSha256: z.string().nullable(),
  endsAtMs: z.number(),
});
const COLUMNS = 'serial, salt, code_digest AS codeDigest, link_sha256 AS linkSha256, ends_at_ms AS endsAtMs';

export function createActivationStore(database: Database): Store['activations'] {
  const get = (serial: string) => {
    const row = database.get(Row, `SELECT ${COLUMNS} FROM activations WHERE serial = ?`, serial);
    return row === undefined ? undefined : { ...row, linkSha256: row.linkSha256 ?? undefined };
  };
  const tries = (serial: string) =>
    database.all(
      ActivationTries,
      `SELECT spki_sha256 AS spkiSha256, taken, last_at_ms AS lastAtMs FROM activation_tries
       WHERE serial = ? ORDER BY last_at_ms DESC, spki_sha256`,
      serial,
    );
  return {
    async put(record) {
      // REPLACE deletes the row before, and its tries with it.
      database.run(
        `INSERT OR REPLACE INTO activations (serial, salt, code_digest, link_sha256, ends_at_ms)
         VALUES (?, ?, ?, ?, ?)`,
        record.serial,
        record.salt,
        record.codeDigest,
        record.linkSha256 ?? null,
        record.endsAtMs,
      );
    },
    async get(serial) {
      return get(serial);
    },
    async takeTry(serial, spkiSha256, { perKey, keys }, atMs) {
      return database.transaction(() => {
        const record = get(serial);
        if (record === undefined) return { kind: 'no-code' };
        const before = tries(serial);
        const taken = before.find((each) => each.spkiSha256 === spkiSha256)?.taken ?? 0;
        if (taken >= perKey) return { kind: 'used-up' };
        if (taken === 0 && before.length >= keys) return { kind: 'too-many-keys' };
        database.run(
          `INSERT INTO activation_tries (serial, spki_sha256, taken, last_at_ms) VALUES (?, ?, 1, ?)
           ON CONFLICT DO UPDATE SET taken = taken + 1, last_at_ms = excluded.last_at_ms`,
          serial,
          spkiSha256,
          atMs,
        );
        return { kind: 'taken', record, triesLeft: perKey - taken - 1 };
      });
    },
    async tries(serial) {
      return tries(serial);
    },
    async remove(serial) {
      return database.run('DELETE FROM activations WHERE serial = ?', serial) === 1;
    },
  };
}
