/**
 * Owns what follows where the disk does not give back bytes of a part that were written to it: the part is fetched
 * again, once; after that it is the disk's failure and reported as such. Recorded on disk, so that dropped lines and
 * restarts in between do not make it an endless download.
 */
import { BranchboxError } from '../model/errors.ts';
import type { FirmwarePart } from '../model/firmware.ts';
import type { ProgressStore } from './ports.ts';
import type { SlotName } from './slots.ts';

/** Throws `firmware/disk`, told by `isLost`, where the part had begun anew already; a later try has it once more. */
export async function beginAnew(
  progress: ProgressStore,
  { role, file }: FirmwarePart,
  slot: SlotName,
  why: BranchboxError,
): Promise<void> {
  const present = await progress.read();
  // It begins anew by itself.
  if (present === undefined) return;
  const { begunAnew = [] } = present;
  const again = begunAnew.includes(role);
  await progress.write({
    ...present,
    durableBytes: { ...present.durableBytes, [role]: 0 },
    verified: false,
    begunAnew: again ? begunAnew.filter((one) => one !== role) : [...begunAnew, role],
  });
  if (!again) return;
  const where = role === 'uki' ? 'the file in which a boot entry waits' : `the ${role} of slot ${slot}`;
  throw new BranchboxError('firmware/disk', {
    message: `${where} lost ${file} twice: ${why.message}`,
    mend: 'The disk does not keep what is written to it. Look at its health (SMART, kernel log) and replace it where that is bad; the version that runs is not touched, and the update is tried again in a day.',
    fields: { lost: true },
    cause: why,
  });
}

export const isLost = (thrown: unknown): boolean =>
  thrown instanceof BranchboxError && thrown.fields['lost'] === true;
