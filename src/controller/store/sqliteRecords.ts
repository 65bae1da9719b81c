/**
 * Owns records in SQLite that are kept: certificates issued and whether each still counts, bundles, the audit log (the
 * last of each actor); and single values.
 */
import { z } from 'zod';
import type { Database } from './database.ts';
import { readPage } from './paging.ts';
import type { IssuedCertificate } from './entities.ts';
import type { Store } from './store.ts';

/** Oldest go first above these; a box that floods pushes out nothing but its own. A box leaves a handful a year. */
const AUDIT_KEPT = { box: 1_000, other: 100_000 } as const;
const BOX = /^(?:serial|gateway):/;

const Value = z.object({ value: z.string() });
const BundleRow = z.object({ sha256: z.string(), sizeBytes: z.number() });
const CertificateRow = z.object({
  fingerprintSha256: z.string(),
  number: z.string(),
  kind: z.enum(['ldevid', 'server', 'client']),
  subject: z.string(),
  serial: z.string().nullable(),
  notAfterMs: z.number(),
  pem: z.string(),
});
const LdevidRow = z.object({
  fingerprintSha256: z.string(),
  number: z.string(),
  gatewayId: z.string(),
  serial: z.string().nullable(),
  revokedAtMs: z.number().nullable(),
});
const AuditRow = z.object({
  number: z.int(),
  atMs: z.number(),
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  detail: z.string(),
});

export function createRecordStore(database: Database): Store['records'] {
  const add = (certificate: IssuedCertificate, atMs: number): void => {
    database.run(
      `INSERT OR REPLACE INTO certificates
       (fingerprint_sha256, number, kind, subject, serial, not_after_ms, pem, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      certificate.fingerprintSha256,
      certificate.number,
      certificate.kind,
      certificate.subject,
      certificate.serial ?? null,
      certificate.notAfterMs,
      certificate.pem,
      atMs,
    );
  };
  return {
    async addCertificate(certificate, atMs) {
      add(certificate, atMs);
    },
    async enrol(certificate, atMs) {
      return database.transaction(() => {
        // Whoever enrols here is here, wherever it was sent before.
        const sql = `UPDATE inventory SET state = 'enrolled', move = NULL WHERE serial = ? AND state <> 'revoked'`;
        if (database.run(sql, certificate.serial) !== 1) return false;
        add(certificate, atMs);
        return true;
      });
    },
    async certificate(fingerprintSha256) {
      const row = database.get(
        CertificateRow,
        `SELECT fingerprint_sha256 AS fingerprintSha256, number, kind, subject, serial, not_after_ms AS notAfterMs, pem
         FROM certificates WHERE fingerprint_sha256 = ?`,
        fingerprintSha256,
      );
      return row === undefined ? undefined : { ...row, serial: row.serial ?? undefined };
    },
    async ldevids(endAfterMs) {
      const rows = database.all(
        LdevidRow,
        `SELECT fingerprint_sha256 AS fingerprintSha256, number, subject AS gatewayId, serial,
         revoked_at_ms AS revokedAtMs FROM certificates
         WHERE kind = 'ldevid' AND not_after_ms > ? ORDER BY at_ms, fingerprint_sha256`,
        endAfterMs,
      );
      return rows.map((row) => ({
        ...row,
        serial: row.serial ?? undefined,
        revokedAtMs: row.revokedAtMs ?? undefined,
      }));
    },
    async setRevoked(fingerprintSha256, atMs) {
      const sql = 'UPDATE certificates SET revoked_at_ms = ? WHERE fingerprint_sha256 = ?';
      database.run(sql, atMs ?? null, fingerprintSha256);
    },
    async addBundle(sha256, sizeBytes, atMs) {
      database.run(
        'INSERT OR REPLACE INTO bundles (sha256, size_bytes, at_ms) VALUES (?, ?, ?)',
        sha256,
        sizeBytes,
        atMs,
      );
    },
    async bundles() {
      const rows = database.all(BundleRow, 'SELECT sha256, size_bytes AS sizeBytes FROM bundles');
      return new Map(rows.map((row) => [row.sha256, row.sizeBytes]));
    },
    async audit(entry) {
      database.transaction(() => {
        database.run(
          'INSERT INTO audit (at_ms, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)',
          entry.atMs,
          entry.actor,
          entry.action,
          entry.subject,
          entry.detail,
        );
        database.run(
          `DELETE FROM audit WHERE actor = ?1 AND number <=
           (SELECT number FROM audit WHERE actor = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)`,
          entry.actor,
          BOX.test(entry.actor) ? AUDIT_KEPT.box : AUDIT_KEPT.other,
        );
      });
    },
    async auditPage(page) {
      const select = 'SELECT number, at_ms AS atMs, actor, action, subject, detail FROM audit';
      return readPage(database, AuditRow, { select, key: 'number' }, page);
    },
    async meta(key) {
      return database.get(Value, 'SELECT value FROM meta WHERE key = ?', key)?.value;
    },
    async setMeta(key, value) {
      database.run('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)', key, value);
    },
  };
}
