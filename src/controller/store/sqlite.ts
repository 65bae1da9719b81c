/**
 * Owns the store made of its SQLite parts.
 */
import { openDatabase } from './database.ts';
import { createActivationStore } from './sqliteActivations.ts';
import { createFirmwareRecords } from './sqliteFirmware.ts';
import { createFleetStore } from './sqliteFleet.ts';
import { createGatewayStore } from './sqliteGateways.ts';
import { createInventoryStore } from './sqliteInventory.ts';
import { createClaimStore, createPendingStore } from './sqlitePending.ts';
import { createRecordStore } from './sqliteRecords.ts';
import { createUplinkReportStore } from './sqliteUplinkReports.ts';
import type { Store } from './store.ts';

/** `:memory:` or a file. */
export function openSqliteStore(path: string): Store {
  const database = openDatabase(path);
  return {
    fleet: createFleetStore(database),
    inventory: createInventoryStore(database),
    pending: createPendingStore(database),
    claims: createClaimStore(database),
    activations: createActivationStore(database),
    gateways: createGatewayStore(database),
    firmware: createFirmwareRecords(database),
    uplinkReports: createUplinkReportStore(database),
    records: createRecordStore(database),
    async close() {
      database.close();
    },
  };
}
