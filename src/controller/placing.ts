/**
 * Owns giving a box whose serial nobody named a place in the fleet: which gateway it becomes, that its key is bound before it is
 * approved, and that the place survives a fleet file which names no serial there.
 * Does not own who may be let in (pending.ts decides by rules, an operator by the API).
 */
import type { AssignmentRule } from '../model/assignment.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Fleet } from '../model/fleet.ts';
import type { Clock } from '../system/ports.ts';
import type { FleetService } from './fleetService.ts';
import type { HeldPlace, InventoryEntry } from './store/entities.ts';
import type { Store } from './store/store.ts';

export interface BoxToPlace {
  readonly serial: string;
  /** Undefined: known by its serial alone, as any box of the inventory that never came. */
  readonly key: { readonly spkiSha256: string; readonly issuerKeyId: string } | undefined;
  readonly model?: string | undefined;
}
/** A gateway by its name, or the first without a box that fits. */
export type Place = { readonly gateway: string } | NonNullable<AssignmentRule['place']>;

export interface Placing {
  /** The gateway's id. Throws controller/conflict where there is no such place, or another key holds the serial. */
  letIn(
    box: BoxToPlace,
    place: Place,
    by: { readonly actor: string; readonly joined: NonNullable<InventoryEntry['joined']> },
  ): Promise<string>;
}

export function createPlacing(options: {
  readonly store: Store;
  readonly fleet: FleetService;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** The inventory changed. */
  readonly onChange: () => void;
}): Placing {
  const { store, fleet, clock, onChange } = options;
  return {
    async letIn({ serial, key, model }, place, { actor, joined }) {
      const atMs = clock.nowMs();
      const isNew = await store.inventory.add(serial, { model, approved: false, joined }, atMs);
      try {
        if (!isNew && (await store.inventory.get(serial))?.state === 'revoked') {
          throw conflict(
            `${serial} was revoked`,
            `PATCH /api/v1/inventory/${serial} with { "revoked": false }`,
          );
        }
        // Before it is approved: else another key under this serial could come in between.
        if (key !== undefined && !(await store.inventory.bind(serial, key, atMs))) {
          throw conflict(`another identity holds ${serial}`, `DELETE /api/v1/inventory/${serial} forgets it`);
        }
        const told = { isPlaced: false };
        const next = await fleet.change({
          actor,
          subject: `gateways of ${serial}`,
          next: {
            edit(present) {
              const edited = withBox(present, serial, place);
              told.isPlaced = edited !== present;
              return edited;
            },
          },
        });
        // One that the inventory held without a place: no fleet file knows of it either.
        await store.inventory.update(serial, { approved: true, ...(told.isPlaced && { joined }) });
        await store.pending.remove(serial);
        const gateway = next.fleet.gateways.find((candidate) => candidate.serial === serial)?.id ?? '';
        await store.records.audit({ atMs, actor, action: 'placed', subject: serial, detail: gateway });
        onChange();
        return gateway;
      } catch (thrown) {
        if (isNew) await store.inventory.remove(serial);
        throw thrown;
      }
    },
  };
}

/** The fleet with the serial in its place; a serial that has one keeps it. Pure. */
function withBox(present: Fleet | undefined, serial: string, place: Place): Fleet {
  const gateways = present?.gateways ?? [];
  const own = gateways.find((gateway) => gateway.serial === serial);
  const named = 'gateway' in place ? gateways.find(({ id }) => id === place.gateway) : undefined;
  if (present === undefined || ('gateway' in place && named === undefined)) {
    throw new BranchboxError('controller/not-found', {
      message: `no gateway is named ${'gateway' in place ? place.gateway : 'anything yet'}`,
      mend: 'describe it in the fleet, without a serial',
    });
  }
  if (own !== undefined && (named === undefined || named === own)) return present;
  if (own !== undefined) {
    throw conflict(`${serial} is the box of ${own.id} already`, `take its serial from ${own.id} first`);
  }
  const free =
    'gateway' in place
      ? named
      : gateways.find(
          ({ serial: taken, role, site }) =>
            taken === undefined && role === place.role && (place.site === undefined || site === place.site),
        );
  if (free === undefined) {
    const what =
      'gateway' in place ? '' : `${place.role}${place.site === undefined ? '' : ` at ${place.site}`}`;
    throw conflict(`no ${what} is without a box`, 'describe another gateway in the fleet, without a serial');
  }
  if (free.serial !== undefined) {
    throw conflict(`${free.id} has a box already: ${free.serial}`, 'name a gateway without a box');
  }
  return {
    ...present,
    gateways: gateways.map((gateway) => (gateway === free ? { ...gateway, serial } : gateway)),
  };
}

/**
 * For a whole fleet that replaces the present one: a gateway without a serial keeps the box that was placed there, since a person's
 * file does not know of it. `joined`: serials that were placed. Pure.
 */
export function keepPlaced(next: Fleet, places: readonly HeldPlace[], joined: ReadonlySet<string>): Fleet {
  const told = new Set(next.gateways.map(({ serial }) => serial));
  const placed = new Map(
    places.flatMap(({ id, serial }) =>
      serial !== undefined && joined.has(serial) && !told.has(serial) ? [[id, serial] as const] : [],
    ),
  );
  return {
    ...next,
    gateways: next.gateways.map((gateway) => {
      const serial = gateway.serial ?? placed.get(gateway.id);
      return serial === undefined ? gateway : { ...gateway, serial };
    }),
  };
}

const conflict = (message: string, mend: string): BranchboxError =>
  new BranchboxError('controller/conflict', { message, mend });
