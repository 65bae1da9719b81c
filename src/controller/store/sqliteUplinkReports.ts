/**
 * Owns the reports of uplink tests in SQLite: the last of each gateway.
 */
import { z } from 'zod';
import { tryDecode, withoutUnknown } from '../../model/decode.ts';
import { UplinkReport } from '../../model/uplinkReport.ts';
import type { Database } from './database.ts';
import type { Store } from './store.ts';

/** Oldest go first above this. */
const REPORTS_PER_GATEWAY = 20;
const Row = z.object({ receivedAtMs: z.number(), document: z.string() });

export function createUplinkReportStore(database: Database): Store['uplinkReports'] {
  return {
    async add(gatewayId, report, atMs) {
      database.transaction(() => {
        database.run(
          `INSERT INTO uplink_reports (gateway_id, id, received_at_ms, document) VALUES (?, ?, ?, ?)
           ON CONFLICT DO NOTHING`,
          gatewayId,
          report.id,
          atMs,
          JSON.stringify(report),
        );
        database.run(
          `DELETE FROM uplink_reports WHERE gateway_id = ?1 AND rowid NOT IN
           (SELECT rowid FROM uplink_reports WHERE gateway_id = ?1 ORDER BY rowid DESC LIMIT ${REPORTS_PER_GATEWAY})`,
          gatewayId,
        );
      });
    },
    async list(gatewayId, limit) {
      const rows = database.all(
        Row,
        `SELECT received_at_ms AS receivedAtMs, document FROM uplink_reports WHERE gateway_id = ?
         ORDER BY rowid DESC LIMIT ?`,
        gatewayId,
        limit,
      );
      // One that another release stored and this one cannot read is left out.
      return rows.flatMap(({ receivedAtMs, document }) => {
        const decoded = tryDecode(UplinkReport, withoutUnknown(UplinkReport, JSON.parse(document)));
        return decoded.ok ? [{ receivedAtMs, report: decoded.value }] : [];
      });
    },
  };
}
