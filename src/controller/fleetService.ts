/**
 * Owns changes to the fleet: decoding, numbers, a design of every gateway as proof that it can be told, and the
 * revision under which it is stored. Does not own routes (api/) nor publishing (publisher.ts).
 */
import { decode } from '../model/decode.ts';
import type { DesiredSpec } from '../model/desired.ts';
import { BranchboxError } from '../model/errors.ts';
import { Fleet } from '../model/fleet.ts';
import type { Clock } from '../system/ports.ts';
import { allocate, NO_ALLOCATIONS } from './allocations.ts';
import { designFleet } from './designer.ts';
import type { FleetRevision } from './store/entities.ts';
import type { Store } from './store/store.ts';

export interface FleetChange {
  readonly actor: string;
  /** For the audit log: `segments/red`. */
  readonly subject: string;
  /** What the caller saw, one of several, or whichever there is; a fleet that moved on since is a conflict. */
  readonly ifRevision?: readonly number[] | 'any';
  /** The whole next document from the present one; not yet decoded. The present one itself: nothing is changed. */
  readonly edit: (present: Fleet | undefined) => unknown;
}

export interface FleetService {
  read(): Promise<FleetRevision | undefined>;
  change(change: FleetChange): Promise<FleetRevision>;
}

/** Throws controller/not-found. */
export function gatewayOf(fleet: Fleet | undefined, id: string): Fleet['gateways'][number] {
  const found = fleet?.gateways.find((gateway) => gateway.id === id);
  if (found !== undefined) return found;
  throw new BranchboxError('controller/not-found', {
    message: `no gateway is named ${id}`,
    mend: 'GET /api/v1/gateways lists them',
  });
}

export function createFleetService(options: {
  readonly store: Store;
  readonly controller: DesiredSpec['controller'];
  /** Whole firmware versions: version → signed manifest. */
  readonly firmware: () => Promise<ReadonlyMap<string, string>>;
  readonly clock: Clock;
  readonly onChange: () => void;
}): FleetService {
  const { store, clock } = options;

  // Decoding a large fleet costs; each status message asks for it. The stored revision says whether it still holds.
  let cached: FleetRevision | undefined;
  async function read(): Promise<FleetRevision | undefined> {
    if (cached?.revision !== (await store.fleet.revision())) cached = await store.fleet.read();
    return cached;
  }

  async function change(change: FleetChange): Promise<FleetRevision> {
    const present = await read();
    const revision = present?.revision ?? 0;
    const { ifRevision } = change;
    const holds = ifRevision === 'any' ? present !== undefined : (ifRevision?.includes(revision) ?? true);
    if (!holds) {
      throw new BranchboxError('controller/conflict', {
        message:
          present === undefined
            ? 'no fleet is described yet'
            : `the fleet is at revision ${revision}, which is not the one named`,
        mend: 'read the fleet again and repeat the change',
        fields: { httpStatus: 412 },
      });
    }
    const wanted = change.edit(present?.fleet);
    if (present !== undefined && wanted === present.fleet) return present;
    const fleet = decode(Fleet, wanted, 'the fleet');
    const allocations = allocate(fleet, present?.allocations ?? NO_ALLOCATIONS);
    designFleet({
      fleet,
      allocations,
      controller: options.controller,
      publicKeys: await store.gateways.publicKeys(),
      bundleSizes: await store.records.bundles(),
      firmware: await options.firmware(),
    });
    const atMs = clock.nowMs();
    const next = await store.fleet.replace({ fleet, allocations }, revision, atMs);
    await store.records.audit({
      atMs,
      actor: change.actor,
      action: 'fleet-changed',
      subject: change.subject,
      detail: `revision ${next}`,
    });
    options.onChange();
    return { revision: next, fleet, allocations };
  }

  // One change at a time, so that two callers without If-Match do not both start from one revision and one fail.
  let last: Promise<unknown> = Promise.resolve();
  return {
    read,
    change(wanted) {
      const result = last.then(() => change(wanted));
      last = result.catch(() => undefined);
      return result;
    },
  };
}
