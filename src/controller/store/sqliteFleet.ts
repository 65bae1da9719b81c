/**
 * Owns the fleet document in SQLite: its revisions, with a bounded history.
 */
import { z } from 'zod';
import { decodeJson } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import { Fleet } from '../../model/fleet.ts';
import { Allocations } from '../allocations.ts';
import type { Database } from './database.ts';
import { HeldPlace } from './entities.ts';
import type { Store } from './store.ts';

const HISTORY = 100;
const Row = z.object({ revision: z.int(), document: z.string(), allocations: z.string() });
const Places = z.object({ gateways: z.array(HeldPlace) });
const Whatever = z.looseObject({});
const Latest = z.object({ revision: z.int().nullable() });

export function createFleetStore(database: Database): Store['fleet'] {
  const latestRevision = () =>
    database.get(Latest, 'SELECT max(revision) AS revision FROM fleet')?.revision ?? 0;
  const latest = () =>
    database.get(Row, 'SELECT revision, document, allocations FROM fleet ORDER BY revision DESC LIMIT 1');
  return {
    async revision() {
      return latestRevision();
    },
    async read() {
      const row = latest();
      if (row === undefined) return undefined;
      return {
        revision: row.revision,
        fleet: decodeJson(Fleet, row.document, 'the stored fleet', Number.MAX_SAFE_INTEGER),
        allocations: decodeJson(Allocations, row.allocations, 'the stored numbers', Number.MAX_SAFE_INTEGER),
      };
    },
    async outline() {
      const row = latest();
      if (row === undefined) return undefined;
      const cap = Number.MAX_SAFE_INTEGER;
      return {
        revision: row.revision,
        places: decodeJson(Places, row.document, 'the places of the stored fleet', cap).gateways,
        allocations: decodeJson(Allocations, row.allocations, 'the stored numbers', cap),
      };
    },
    async document() {
      const row = latest();
      if (row === undefined) return undefined;
      return {
        revision: row.revision,
        document: decodeJson(Whatever, row.document, 'the stored fleet', Number.MAX_SAFE_INTEGER),
      };
    },
    async replace(next, expectedRevision, atMs) {
      return database.transaction(() => {
        const stored = latestRevision();
        if (stored !== expectedRevision) {
          throw new BranchboxError('controller/conflict', {
            message: `the fleet is at revision ${stored}, not ${expectedRevision}`,
            mend: 'read the fleet again and repeat the change',
          });
        }
        const revision = stored + 1;
        database.run(
          'INSERT INTO fleet (revision, document, allocations, at_ms) VALUES (?, ?, ?, ?)',
          revision,
          JSON.stringify(next.fleet),
          JSON.stringify(next.allocations),
          atMs,
        );
        database.run('DELETE FROM fleet WHERE revision <= ?', revision - HISTORY);
        return revision;
      });
    },
  };
}
