/**
 * Owns which firmware versions were uploaded, in SQLite. Does not own the parts themselves, which are files (blobs.ts).
 */
import { z } from 'zod';
import type { Database } from './database.ts';
import type { Store } from './store.ts';

const ManifestRow = z.object({ version: z.string(), manifest: z.string() });
const PartRow = z.object({ sha256: z.string(), sizeBytes: z.number() });

export function createFirmwareRecords(database: Database): Store['firmware'] {
  return {
    async manifests() {
      const rows = database.all(
        ManifestRow,
        'SELECT version, manifest FROM firmware ORDER BY at_ms, version',
      );
      return new Map(rows.map(({ version, manifest }) => [version, manifest]));
    },
    async putManifest(version, manifest, atMs) {
      const sql = 'INSERT OR REPLACE INTO firmware (version, manifest, at_ms) VALUES (?, ?, ?)';
      database.run(sql, version, manifest, atMs);
    },
    async removeManifest(version) {
      database.run('DELETE FROM firmware WHERE version = ?', version);
    },
    async parts() {
      const rows = database.all(PartRow, 'SELECT sha256, size_bytes AS sizeBytes FROM firmware_parts');
      return new Map(rows.map(({ sha256, sizeBytes }) => [sha256, sizeBytes]));
    },
    async addPart(sha256, sizeBytes, atMs) {
      const sql = 'INSERT OR REPLACE INTO firmware_parts (sha256, size_bytes, at_ms) VALUES (?, ?, ?)';
      database.run(sql, sha256, sizeBytes, atMs);
    },
    async removePart(sha256) {
      database.run('DELETE FROM firmware_parts WHERE sha256 = ?', sha256);
    },
  };
}
