/**
 * Owns changes to the fleet: decoding, numbers, a design of every gateway as proof that it can be told, and the
 * revision under which it is stored. Does not own routes (api/) nor publishing (publisher.ts).
 */
import { isDeepStrictEqual } from 'node:util';
import { decode } from '../model/decode.ts';
import type { DesiredSpec } from '../model/desired.ts';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import { Fleet } from '../model/fleet.ts';
import type { Clock } from '../system/ports.ts';
import { createSerialQueue } from '../system/serialQueue.ts';
import { allocate, NO_ALLOCATIONS } from './allocations.ts';
import { designFleet } from './designer.ts';
import { checkRemovals, checkRevoked } from './removals.ts';
import type { FleetOutline, FleetRevision, HeldPlace } from './store/entities.ts';
import type { Store } from './store/store.ts';

export interface FleetChange {
  readonly actor: string;
  /** For the audit log: `segments/red`. */
  readonly subject: string;
  /** The revision must be one of these, or `any` that exists; another is a conflict. Absent: not asked. */
  readonly ifRevision?: readonly number[] | 'any';
  /**
   * The whole next document, not yet decoded. `edit` makes it of the present one, and returns that itself where nothing is to
   * change; `replace` works whatever the present one is, so that one which breaks a rule of this version can be mended.
   */
  readonly next:
    | { readonly edit: (present: Fleet | undefined) => unknown }
    | {
        readonly replace: (places: readonly HeldPlace[]) => unknown;
        /** How many boxes the caller knows to lose their place by it. */
        readonly removes?: number | undefined;
      };
}

export interface FleetService {
  /** Throws controller/conflict where the stored one breaks a rule that came with this version. */
  read(): Promise<FleetRevision | undefined>;
  /** Which box has which place: also where the rest of the stored fleet cannot be read. */
  places(): Promise<readonly HeldPlace[]>;
  /** Why no gateway can be told anything new, as found when the fleet was last read. */
  readonly ailment: string | undefined;
  /** A document that means the same as the present one, with lists in the same order, keeps its revision. */
  change(change: FleetChange): Promise<FleetRevision>;
}

/** Throws controller/not-found. */
export function gatewayOf(fleet: Fleet | undefined, id: string): Fleet['gateways'][number] {
  const found = fleet?.gateways.find((gateway) => gateway.id === id);
  if (found !== undefined) return found;
  throw new BranchboxError('controller/not-found', {
    message: `no gateway is named ${id}`,
    mend: '`branchbox fleet show` and GET /api/v1/gateways list them',
  });
}

/** Of what an earlier version stored; any other error, of a failing disk for instance, stays as it is. */
function unreadable(error: BranchboxError): BranchboxError {
  if (error.code !== 'model/invalid') return error;
  return new BranchboxError('controller/conflict', {
    message: 'the fleet was stored by an earlier version and breaks a rule of this one',
    mend: 'correct what `branchbox fleet show` prints and apply it whole: `branchbox fleet apply FILE`. Until then boxes go on as they are',
    problems: error.problems,
    cause: error,
  });
}

/** Compared as they would be stored, where a field that is undefined is none. */
function isSame(next: unknown, stored: unknown): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(next)), JSON.parse(JSON.stringify(stored)));
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
  let outline: FleetOutline | undefined;
  let ailment: string | undefined;
  async function read(): Promise<FleetRevision | undefined> {
    if (cached?.revision === (await store.fleet.revision())) return cached;
    try {
      cached = await store.fleet.read();
      ailment = undefined;
    } catch (thrown) {
      const error = unreadable(asBranchboxError(thrown));
      ailment = [error.message, ...error.problems.map(({ path, message }) => `${path} ${message}`)].join(
        '; ',
      );
      throw error;
    }
    return cached;
  }

  async function readOutline(): Promise<FleetOutline | undefined> {
    if (outline?.revision !== (await store.fleet.revision())) outline = await store.fleet.outline();
    return outline;
  }

  /** undefined also where the stored one breaks a rule of this version. */
  async function readHolding(): Promise<FleetRevision | undefined> {
    try {
      return await read();
    } catch (thrown) {
      if (thrown instanceof BranchboxError && thrown.code === 'controller/conflict') return undefined;
      throw thrown;
    }
  }

  async function change(change: FleetChange): Promise<FleetRevision> {
    const present = await readOutline();
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
    let wanted: unknown;
    if ('replace' in change.next) wanted = change.next.replace(present?.places ?? []);
    else {
      const whole = await read();
      wanted = change.next.edit(whole?.fleet);
      if (whole !== undefined && wanted === whole.fleet) return whole;
    }
    const fleet = decode(Fleet, wanted, 'the fleet');
    if ('replace' in change.next) checkRemovals(present?.places ?? [], fleet, change.next.removes);
    const revoked = (await store.inventory.list()).filter(({ state }) => state === 'revoked');
    checkRevoked(present?.places ?? [], fleet, new Set(revoked.map(({ serial }) => serial)));
    const allocations = allocate(fleet, present?.allocations ?? NO_ALLOCATIONS);
    designFleet({
      fleet,
      allocations,
      controller: options.controller,
      publicKeys: await store.gateways.publicKeys(),
      bundleSizes: await store.records.bundles(),
      firmware: await options.firmware(),
    });
    const stored = await readHolding();
    if (stored !== undefined && isSame(fleet, stored.fleet) && isSame(allocations, stored.allocations)) {
      return stored;
    }
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
  const inTurn = createSerialQueue();
  return {
    read,
    places: async () => (await readOutline())?.places ?? [],
    get ailment() {
      return ailment;
    },
    change: (wanted) => inTurn(() => change(wanted)),
  };
}
