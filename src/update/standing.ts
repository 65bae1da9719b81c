/**
 * Owns how an updater's standing is told: as a status, and as a read-out with the disk. Pure.
 * Does not own what it stands at (worker.ts).
 */
import { type FirmwareStatus, type LocalFirmware, PART_ROLES } from '../model/firmware.ts';
import type { Target } from './manifest.ts';
import type { Observation } from './plan.ts';
import type { Ending } from './records.ts';
import { SLOT_NAMES, slotOf } from './slots.ts';

export interface Standing {
  readonly state: FirmwareStatus['state'];
  readonly sentence: string;
  readonly target?: Target;
  readonly fetching?: LocalFirmware['fetching'];
}

export function renderStatus(
  { state, sentence, target, fetching }: Standing,
  version: string,
  slot: FirmwareStatus['slot'],
  history: readonly Ending[],
): FirmwareStatus {
  const last = history.at(-1);
  return {
    version,
    ...(slot === undefined ? {} : { slot }),
    state,
    sentence,
    ...(target === undefined ? {} : { target: { version: target.manifest.version, digest: target.digest } }),
    ...(target === undefined || fetching === undefined
      ? {}
      : { progressPercent: percentOf(target, fetching) }),
    ...(last === undefined ? {} : { lastResult: { ...last } }),
  };
}

/** Of all parts together, in steps of five. */
function percentOf({ manifest }: Target, fetching: NonNullable<LocalFirmware['fetching']>): number {
  const before = PART_ROLES.slice(0, PART_ROLES.indexOf(fetching.role));
  const sum = (sizes: readonly { readonly sizeBytes: number }[]): number =>
    sizes.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  const done = sum(manifest.parts.filter(({ role }) => before.includes(role))) + fetching.doneBytes;
  return Math.floor(((done / sum(manifest.parts)) * 100) / 5) * 5;
}

export function renderDisk(
  { slots, entries }: Observation,
  runningRootHash: string,
): NonNullable<LocalFirmware['disk']> {
  return {
    slots: SLOT_NAMES.map((slot) => ({
      slot,
      rootHash: slots[slot].rootHash,
      running: slots[slot].rootHash === runningRootHash,
    })),
    entries: entries.map(({ file, version, triesLeft, triesDone, rootHash }) => {
      const holder = rootHash === undefined ? undefined : slotOf(slots, rootHash);
      return {
        file,
        version,
        triesDone,
        ...(triesLeft === undefined ? {} : { triesLeft }),
        ...(holder === undefined ? {} : { slot: holder }),
      };
    }),
  };
}
