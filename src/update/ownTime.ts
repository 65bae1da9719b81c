/**
 * Owns how long a start of the box has lasted, without the check of the data partition: that may take an hour, and is
 * no version's doing. Versions are judged and compared by this time.
 * Does not own the check (open-data), nor the deadline without an agent, which counts the same
 * (firmware/trial-deadline).
 */
import type { Files } from '../system/ports.ts';

const UPTIME = '/proc/uptime';
/** In seconds of the uptime; an agent is only there once /var is, and so after both. */
const CHECK_BEGAN = '/run/branchbox/boot/data-check-began';
const CHECK_ENDED = '/run/branchbox/boot/data-check-ended';
/** As open-data gives it, and as the deadline without an agent counts. */
const MAX_CHECK_S = 7200;

export async function readOwnTimeMs(files: Pick<Files, 'readText'>): Promise<number> {
  const upS = Number(((await files.readText(UPTIME)) ?? '0').split(' ')[0]);
  const [beganS, endedS] = await Promise.all([secondsIn(files, CHECK_BEGAN), secondsIn(files, CHECK_ENDED)]);
  // A lab node and a Debian package have no such check.
  const checkS = beganS === undefined || endedS === undefined ? 0 : Math.max(0, endedS - beganS);
  return Math.max(0, upS - Math.min(checkS, MAX_CHECK_S)) * 1000;
}

async function secondsIn(files: Pick<Files, 'readText'>, path: string): Promise<number | undefined> {
  const text = (await files.readText(path))?.trim();
  return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}
