/**
 * Owns putting another box in the place of one that is dead, stolen or worn: the gateway keeps its id, numbers and
 * design, the new serial gets its place, and the old one is revoked.
 * Does not own what revoking costs (revocations.ts), nor enrolling the new box (est/): it comes by itself, as any.
 *
 * In this order: the new box is made known, gets the place, then the old one is revoked. Where that is cut off in between, the old
 * box has no place any more, which keeps it out as well, and a repeated call completes it.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Fleet } from '../model/fleet.ts';
import type { Clock } from '../system/ports.ts';
import { type FleetService, gatewayOf } from './fleetService.ts';
import type { Store } from './store/store.ts';

export interface Replacement {
  readonly gatewayId: string;
  readonly serial: string;
  /** Revoked now; undefined where the place was free. */
  readonly replaced: string | undefined;
}

/** Throws controller/not-found of a gateway that there is not, controller/conflict of a serial that cannot take it. */
export async function replaceBox(
  parts: {
    readonly store: Pick<Store, 'inventory' | 'pending' | 'records'>;
    readonly fleet: FleetService;
    readonly clock: Pick<Clock, 'nowMs'>;
    readonly onInventoryChange: () => void;
  },
  wanted: {
    readonly gatewayId: string;
    readonly serial: string;
    /** The new box enrols once its installer typed a code. */
    readonly twoFactor: boolean;
    readonly actor: string;
  },
): Promise<Replacement> {
  const { store, fleet, clock } = parts;
  const { gatewayId, serial, twoFactor, actor } = wanted;
  const before = (await fleet.read())?.fleet;
  const replaced = gatewayOf(before, gatewayId).serial;
  const holder = before?.gateways.find((gateway) => gateway.serial === serial);
  if (holder !== undefined) {
    throw new BranchboxError('controller/conflict', {
      message: `${serial} is the box of ${holder.id} already`,
      mend: 'name a box that has no place in the fleet yet',
    });
  }
  const known = await store.inventory.get(serial);
  if (known?.state === 'revoked') {
    throw new BranchboxError('controller/conflict', {
      message: `${serial} was revoked, so it takes nobody's place`,
      mend: `trust it again first: branchbox fleet release ${serial}`,
    });
  }
  // Who asked for a second factor of this box meant it: an approval of before that knew of none does not stand for it.
  const how = {
    approved: known?.twoFactor === true ? known.approved : !twoFactor,
    twoFactor: twoFactor || known?.twoFactor === true,
    // No fleet file told it: it keeps its place under one that tells no serials.
    joined: 'operator',
  } as const;
  if (known === undefined) await store.inventory.add(serial, how, clock.nowMs());
  else await store.inventory.update(serial, how);
  if (how.approved) await store.pending.remove(serial);
  await fleet.change({
    actor,
    subject: `gateways/${gatewayId}`,
    next: { edit: (present) => withSerial(present, gatewayId, replaced, serial) },
  });
  const old = replaced === undefined ? undefined : await store.inventory.get(replaced);
  if (old !== undefined) await store.inventory.update(old.serial, { state: 'revoked' });
  await store.records.audit({
    atMs: clock.nowMs(),
    actor,
    action: 'box-replaced',
    subject: gatewayId,
    detail: `${replaced ?? 'nobody'} by ${serial}`,
  });
  parts.onInventoryChange();
  return { gatewayId, serial, replaced };
}

/** Somebody else may have been quicker: the box to be revoked is then not the one that was looked at. */
function withSerial(
  fleet: Fleet | undefined,
  gatewayId: string,
  replaced: string | undefined,
  serial: string,
): unknown {
  if (gatewayOf(fleet, gatewayId).serial !== replaced) {
    throw new BranchboxError('controller/conflict', {
      message: `${gatewayId} got another box meanwhile`,
      mend: 'look at it again and repeat the change',
    });
  }
  return {
    ...fleet,
    gateways: fleet?.gateways.map((gateway) => (gateway.id === gatewayId ? { ...gateway, serial } : gateway)),
  };
}
