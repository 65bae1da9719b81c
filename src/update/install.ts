/**
 * Owns carrying a plan out until a version stands whole in the spare slot with its boot entry on trial. Every way in is
 * the same: observe, plan, apply; so a cut anywhere is continued by calling it again.
 * Does not own when it may run (worker.ts) nor the trial (trial.ts).
 */
import { createHash } from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import { type FirmwarePart, PART_ROLES, type PartRole } from '../model/firmware.ts';
import { beginAnew } from './anew.ts';
import {
  fetchPart,
  hashFrom,
  isDiskError,
  isSpoiled,
  spoiled,
  spoiledBy,
  WRITE_SIZES,
  type WriteSizes,
} from './fetchPart.ts';
import type { Target } from './manifest.ts';
import { planUpdate, type Progress, type Step } from './plan.ts';
import type { FirmwareDisk, Pace, PartFile, PartSource, ProgressStore } from './ports.ts';
import type { SlotName } from './slots.ts';

export interface InstallParts {
  readonly disk: FirmwareDisk;
  readonly source: PartSource;
  readonly progress: ProgressStore;
  readonly pace: Pace;
  readonly pieceBytes?: number | undefined;
  readonly allowDowngrade: boolean;
  readonly sizes?: WriteSizes;
  readonly onStep: (step: Step, doneBytes: number) => void;
  /** All is whole: what is to be durable before an entry stands that the loader would start. */
  readonly beforeEntry: (signal: AbortSignal) => Promise<void>;
}

export type Installed = 'current' | 'ready';

/** A plan that never ends means a disk that does not keep what is written. Each part may be fetched anew once. */
const MAX_ROUNDS = 4 + PART_ROLES.length;

/** Throws `firmware/refused` before anything that starts changed, `firmware/source` or `firmware/disk` where it can be gone on with. */
export async function install(parts: InstallParts, target: Target, signal: AbortSignal): Promise<Installed> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const observed = await parts.disk.observe(signal);
    const plan = planUpdate(observed, await parts.progress.read(), target, parts);
    if (plan.kind === 'current') return 'current';
    if (plan.kind === 'refuse') {
      throw new BranchboxError('firmware/refused', {
        message: `firmware ${target.manifest.version} is refused: ${plan.problems[0]?.message ?? 'it does not fit'}`,
        problems: plan.problems,
      });
    }
    if (plan.steps.length === 0) return 'ready';
    for (const step of plan.steps) {
      signal.throwIfAborted();
      parts.onStep(step, 0);
      if ((await applyStep(parts, target, step, signal)) === 'begun-anew') break;
    }
  }
  throw new BranchboxError('firmware/disk', {
    message: `after ${MAX_ROUNDS} rounds the disk still does not hold ${target.manifest.version}`,
  });
}

/** `begun-anew`: what was planned after it does not hold any more. */
type Applied = 'done' | 'begun-anew';

async function applyStep(
  parts: InstallParts,
  target: Target,
  step: Step,
  signal: AbortSignal,
): Promise<Applied> {
  const { disk, progress } = parts;
  switch (step.op) {
    case 'remove-entries':
      await disk.removeEntries(step.files, signal);
      return 'done';
    case 'begin':
      await progress.write({
        schema: 1,
        digest: target.digest,
        version: target.manifest.version,
        slot: step.slot,
        durableBytes: { root: 0, verity: 0, uki: 0 },
        verified: false,
        placed: false,
      });
      // A longer one that was there before would leave its tail.
      await disk.dropStaged();
      return 'done';
    case 'fetch':
      return orAnew(progress, partOf(target, step.role), step.slot, () =>
        fetchStep(parts, target, step, signal),
      );
    case 'verify':
      return verify(parts, target, step.slot, signal);
    case 'name-slot':
      await disk.nameSlot(step.slot, target.manifest.rootHash, signal);
      return 'done';
    case 'place-entry':
      await placeStep(parts, target, step.file, signal);
      return 'done';
  }
}

async function orAnew(
  progress: ProgressStore,
  part: FirmwarePart,
  slot: SlotName,
  use: () => Promise<void>,
): Promise<Applied> {
  try {
    await use();
    return 'done';
  } catch (thrown) {
    if (!isSpoiled(thrown)) throw thrown;
    await beginAnew(progress, part, slot, thrown);
    return 'begun-anew';
  }
}

async function fetchStep(
  parts: InstallParts,
  target: Target,
  step: Extract<Step, { op: 'fetch' }>,
  signal: AbortSignal,
): Promise<void> {
  const { progress, source, pace } = parts;
  const { role } = step;
  const to = await openPart(parts.disk, step.slot, role, signal);
  try {
    await fetchPart({
      part: partOf(target, role),
      to,
      source,
      durableBytes: (await progress.read())?.durableBytes[role] ?? 0,
      onDurable: async (bytes) => {
        const present = await progress.read();
        if (present !== undefined)
          await progress.write({ ...present, durableBytes: { ...present.durableBytes, [role]: bytes } });
        parts.onStep(step, bytes);
      },
      pace,
      pieceBytes: parts.pieceBytes,
      sizes: parts.sizes ?? WRITE_SIZES,
      signal,
    });
  } finally {
    await to.close();
  }
}

async function placeStep(
  parts: InstallParts,
  target: Target,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const { disk, progress } = parts;
  try {
    await refuseWhatWouldNotStart(disk, target, signal);
    await parts.beforeEntry(signal);
    await note(progress, { placed: false });
    await disk.placeEntry(file, partOf(target, 'uki'), signal);
  } catch (thrown) {
    // What waits may have gone bad since it was verified: the next try reads it back first.
    if (isDiskError(thrown)) await note(progress, { verified: false });
    throw thrown;
  }
  await note(progress, { placed: true });
}

/** The loader's count does not help where the firmware refuses an entry: it tries no other. */
async function refuseWhatWouldNotStart(
  disk: FirmwareDisk,
  target: Target,
  signal: AbortSignal,
): Promise<void> {
  const { manifest } = target;
  const entry = partOf(target, 'uki');
  const why = await disk.judgeStaged(manifest.rootHash, entry.sizeBytes, signal);
  if (why === undefined) return;
  // The version is not to blame for what a disk made of it.
  await readBack(await disk.openStaged(signal), entry);
  throw new BranchboxError('firmware/refused', {
    message: `firmware ${manifest.version} would not start here: ${why}`,
    problems: [{ path: '$.parts', message: why }],
    mend: 'Build the version with a Secure Boot key that the boxes trust and their dbx does not name, or enrol its certificate in their db (docs/image.md, Keys).',
  });
}

/** From the medium: what the kernel's cache holds proves nothing. */
async function verify(
  { disk, progress }: InstallParts,
  target: Target,
  slot: SlotName,
  signal: AbortSignal,
): Promise<Applied> {
  await disk.dropCache(slot, signal);
  let applied: Applied = 'done';
  for (const part of target.manifest.parts) {
    const one = await orAnew(progress, part, slot, async () =>
      readBack(await openPart(disk, slot, part.role, signal), part),
    );
    if (one === 'begun-anew') applied = one;
  }
  if (applied === 'done') await note(progress, { verified: true, begunAnew: [] });
  return applied;
}

/** Throws where it is not all there, and the manifest's. Closes it. */
async function readBack(from: PartFile, part: FirmwarePart): Promise<void> {
  const hash = createHash('sha256');
  try {
    await hashFrom(from, part.sizeBytes, hash);
  } catch (thrown) {
    throw spoiledBy(thrown, part.file);
  } finally {
    await from.close();
  }
  const sha256 = hash.digest('hex');
  if (sha256 !== part.sha256) {
    throw spoiled(`${part.file} reads as SHA-256 ${sha256}, not as ${part.sha256} as it was written`);
  }
}

const openPart = (
  disk: FirmwareDisk,
  slot: SlotName,
  role: PartRole,
  signal: AbortSignal,
): Promise<PartFile> => (role === 'uki' ? disk.openStaged(signal) : disk.openSlot(slot, role, signal));

async function note(
  progress: ProgressStore,
  change: Partial<Pick<Progress, 'verified' | 'placed' | 'begunAnew'>>,
): Promise<void> {
  const present = await progress.read();
  if (present !== undefined) await progress.write({ ...present, ...change });
}

function partOf({ manifest }: Target, role: PartRole): FirmwarePart {
  const part = manifest.parts.find((one) => one.role === role);
  if (part === undefined) throw new BranchboxError('internal', { message: `a manifest without ${role}` });
  return part;
}
