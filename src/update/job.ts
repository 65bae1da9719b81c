/**
 * Owns what an updater is to do: as the controller wants it, or as somebody at the box asked for it by hand.
 * Does not own doing it (carryOut.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import type { FirmwareRequest, WantedFirmware } from '../model/firmware.ts';
import type { PartSource } from './ports.ts';
import { openDirectory } from './sources.ts';

export interface Job {
  /** As it is announced; undefined where only the manifest says. */
  readonly version: string | undefined;
  readonly manifest: string;
  readonly source: PartSource;
  readonly byHand: boolean;
  readonly allowDowngrade: boolean;
  readonly rateLimitKbps: number | undefined;
  readonly window: WantedFirmware['window'];
}

export function wantedJob(wanted: WantedFirmware, source: PartSource): Job {
  const { version, manifest, allowDowngrade, rateLimitKbps, window } = wanted;
  return { version, manifest, allowDowngrade, rateLimitKbps, window, source, byHand: false };
}

/** Told apart by what they ask for, not by who made them. */
export const keyOf = (job: Job | undefined): string =>
  job === undefined ? '' : JSON.stringify({ ...job, source: job.source.name });

/** By hand, so at once. Throws `firmware/refused` where there is nothing to take. */
export async function requestedJob(
  request: Extract<FirmwareRequest, { readonly kind: 'update' }>,
  wanted: WantedFirmware | undefined,
  source: PartSource,
): Promise<Job> {
  const { directory, allowDowngrade } = request;
  if (directory !== undefined) {
    const found = await openDirectory(directory);
    const free = { version: undefined, rateLimitKbps: undefined, window: undefined };
    return { ...free, ...found, allowDowngrade, byHand: true };
  }
  if (wanted === undefined) {
    throw new BranchboxError('firmware/refused', {
      message: 'the controller wants no firmware of this box',
      mend: 'Name a directory with a manifest and its parts.',
    });
  }
  return {
    ...wantedJob(wanted, source),
    allowDowngrade: wanted.allowDowngrade || allowDowngrade,
    byHand: true,
    window: undefined,
  };
}
