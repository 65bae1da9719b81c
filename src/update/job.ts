/**
 * Owns what an updater is to do: as the controller wants it, or as somebody at the box asked for it by hand.
 * Does not own doing it (carryOut.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import type { FirmwareRequest, WantedFirmware } from '../model/firmware.ts';
import { claimedDigest, type Target } from './manifest.ts';
import type { PartSource } from './ports.ts';
import { openDirectory } from './directorySource.ts';
import type { OpenStick } from './stick.ts';

export interface Job {
  /** As it is announced; undefined where only the manifest says. */
  readonly version: string | undefined;
  readonly manifest: string;
  readonly source: PartSource;
  readonly byHand: boolean;
  /** By hand, by somebody who need not be trusted. */
  readonly stick?: {
    /** Nothing else than this is taken; undefined where the controller wants none, and then a newer one is. */
    readonly wanted: { readonly version: string; readonly digest: string } | undefined;
    readonly close: () => Promise<void>;
  };
  readonly allowDowngrade: boolean;
  readonly rateLimitKbps: number | undefined;
  readonly window: WantedFirmware['window'];
}

export function wantedJob(wanted: WantedFirmware, source: PartSource): Job {
  const { version, manifest, allowDowngrade, rateLimitKbps, window } = wanted;
  return { version, manifest, allowDowngrade, rateLimitKbps, window, source, byHand: false };
}

/** Of a job by hand: at once, as fast as it goes. */
const FREE = { version: undefined, rateLimitKbps: undefined, window: undefined } as const;

/** Of a stick that was plugged in. The only downgrade that it may bring is one that the controller wants. */
export function stickJob({ manifest, source, close }: OpenStick, wanted: WantedFirmware | undefined): Job {
  const only =
    wanted === undefined ? undefined : { version: wanted.version, digest: claimedDigest(wanted.manifest) };
  return {
    ...FREE,
    manifest,
    source,
    byHand: true,
    allowDowngrade: wanted?.allowDowngrade ?? false,
    stick: { wanted: only, close },
  };
}

/** Compared by what they ask for, not by who made them. */
export const keyOf = (job: Job | undefined): string =>
  job === undefined ? '' : JSON.stringify({ ...job, source: job.source.name });

/** Throws `firmware/refused` where nobody answers for the job and the controller wants another version. Pure. */
export function holdToWanted({ stick }: Pick<Job, 'stick'>, { digest, manifest }: Target): void {
  const wanted = stick?.wanted;
  if (wanted === undefined || wanted.digest === digest) return;
  throw new BranchboxError('firmware/refused', {
    message: `firmware ${manifest.version} of the stick is refused: the controller wants ${wanted.version}, and a stick may bring nothing else`,
    mend: 'Have the controller want the version of the stick, or none.',
  });
}

/** By hand, so at once. Throws `firmware/refused` where there is nothing to take. */
export async function requestedJob(
  request: Extract<FirmwareRequest, { readonly kind: 'update' }>,
  wanted: WantedFirmware | undefined,
  source: PartSource,
): Promise<Job> {
  const { directory, allowDowngrade } = request;
  if (directory !== undefined) {
    const found = await openDirectory(directory);
    return { ...FREE, ...found, allowDowngrade, byHand: true };
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
