/**
 * Owns what is to be done next on a disk so that it holds a version, from what is on it: level-triggered, so that an
 * update that was cut anywhere goes on, or begins anew, by planning again. Pure.
 * The order is what makes a power cut at any byte harmless: the loader never sees an entry whose root is not whole.
 */
import { z } from 'zod';
import type { Problem } from '../model/errors.ts';
import { FirmwareVersion, PART_ROLES, type PartRole } from '../model/firmware.ts';
import type { BootEntry } from './entries.ts';
import { trialEntryName } from './entries.ts';
import type { Target } from './manifest.ts';
import { otherSlot, SLOT_NAMES, type SlotName, slotOf } from './slots.ts';
import { compareFirmwareVersions } from './version.ts';

/** How far one update has come; each step of it is on disk before it is written here. */
export const Progress = z.looseObject({
  schema: z.literal(1),
  digest: z.string(),
  version: FirmwareVersion,
  slot: z.enum(SLOT_NAMES),
  /** Of each part, from its beginning. */
  durableBytes: z.record(z.enum(PART_ROLES), z.int().min(0)),
  /** What stood of them could not be had back, and was not verified since. */
  begunAnew: z.array(z.enum(PART_ROLES)).max(PART_ROLES.length).optional(),
  /** All parts were read back from the medium, and are the manifest's. */
  verified: z.boolean(),
  /** The boot entry stands, whole. */
  placed: z.boolean(),
});
export type Progress = z.output<typeof Progress>;

export interface Leftover {
  readonly file: string;
  readonly sizeBytes: number;
}

export interface Observation {
  readonly running: { readonly version: string; readonly rootHash: string };
  readonly slots: Readonly<
    Record<SlotName, { readonly rootHash: string; readonly rootBytes: number; readonly verityBytes: number }>
  >;
  readonly entries: readonly BootEntry[];
  readonly espFreeBytes: number;
  /** Left by a write that was cut. */
  readonly leftovers: readonly Leftover[];
}

export type Step =
  | { readonly op: 'remove-entries'; readonly files: readonly string[] }
  | { readonly op: 'begin'; readonly slot: SlotName }
  | { readonly op: 'fetch'; readonly role: PartRole; readonly slot: SlotName }
  | { readonly op: 'verify'; readonly slot: SlotName }
  | { readonly op: 'name-slot'; readonly slot: SlotName }
  | { readonly op: 'place-entry'; readonly file: string };

export type UpdatePlan =
  | { readonly kind: 'refuse'; readonly problems: readonly Problem[] }
  /** It runs already. */
  | { readonly kind: 'current' }
  /** None: all is in place, only the trial is left. */
  | { readonly kind: 'steps'; readonly steps: readonly Step[] };

export function planUpdate(
  observed: Observation,
  progress: Progress | undefined,
  target: Target,
  options: { readonly allowDowngrade: boolean },
): UpdatePlan {
  const { running } = observed;
  const { manifest, digest } = target;
  if (manifest.rootHash === running.rootHash) return { kind: 'current' };
  const slot = slotOf(observed.slots, running.rootHash);
  const problems = refusals(observed, target, options.allowDowngrade);
  if (slot === undefined) problems.push({ path: '$', message: 'the root that runs is in neither slot' });
  if (slot === undefined || problems.length > 0) return { kind: 'refuse', problems };

  const spare = otherSlot(slot);
  const own = progress?.digest === digest && progress.slot === spare ? progress : undefined;
  const named = observed.slots[spare].rootHash === manifest.rootHash;
  const whole = own?.verified === true && own.placed && named;
  const ready = observed.entries.filter((entry) => whole && isUntried(entry, target));
  // Placed once and tried, or gone some other way: what failed may be the slot, so nothing is believed of it.
  const proven = own?.verified === true && (ready.length > 0 || !own.placed);
  // An entry that points into the spare slot goes before a byte of it does.
  const gone = observed.entries
    .filter((entry) => entry.rootHash !== running.rootHash && !ready.includes(entry))
    .map(({ file }) => file);
  const steps: Step[] = [];
  const doomed = [...gone, ...observed.leftovers.map(({ file }) => file)];
  if (doomed.length > 0) steps.push({ op: 'remove-entries', files: doomed });
  if (own === undefined) steps.push({ op: 'begin', slot: spare });
  if (!proven) {
    for (const role of PART_ROLES) {
      const part = manifest.parts.find((one) => one.role === role);
      if (own === undefined || own.durableBytes[role] < (part?.sizeBytes ?? 0))
        steps.push({ op: 'fetch', role, slot: spare });
    }
    steps.push({ op: 'verify', slot: spare });
  }
  if (!named) steps.push({ op: 'name-slot', slot: spare });
  if (ready.length === 0) steps.push({ op: 'place-entry', file: trialEntryName(manifest.version) });
  return { kind: 'steps', steps };
}

const isUntried = (entry: BootEntry, { manifest }: Target): boolean =>
  entry.rootHash === manifest.rootHash && entry.file === trialEntryName(manifest.version);

/** Everything that speaks against it, before anything is touched. */
function refusals(
  { running, slots, entries, espFreeBytes, leftovers }: Observation,
  { manifest }: Target,
  allowDowngrade: boolean,
): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: string, message: string): void => void problems.push({ path, message });
  const order = compareFirmwareVersions(manifest.version, running.version);
  if (order === 0) {
    // One name of a boot entry cannot stand for two roots.
    refuse(
      '$.version',
      `is ${running.version}, which runs, yet with another root: build it as another version`,
    );
  }
  if (order < 0 && !allowDowngrade) {
    refuse('$.version', `${manifest.version} is older than ${running.version}, and no downgrade is allowed`);
  }
  if (!entries.some(({ rootHash, triesLeft }) => rootHash === running.rootHash && triesLeft === undefined)) {
    refuse('$', `${running.version}, which runs, is not committed: there would be nothing to go back to`);
  }
  const spare = otherSlot(slotOf(slots, running.rootHash) ?? 'a');
  // All that goes before the boot entry is placed.
  const freed = [...entries.filter(({ rootHash }) => rootHash !== running.rootHash), ...leftovers];
  const room: Readonly<Record<PartRole, number>> = {
    root: slots[spare].rootBytes,
    verity: slots[spare].verityBytes,
    uki: espFreeBytes + freed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
  manifest.parts.forEach(({ role, sizeBytes }, index) => {
    if (sizeBytes > room[role]) {
      refuse(
        `$.parts[${index}].sizeBytes`,
        `${sizeBytes} bytes do not fit into the ${room[role]} of a ${role}`,
      );
    }
  });
  return problems;
}
