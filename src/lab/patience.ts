/**
 * Owns how long the lab waits on a machine that is much slower than most, as an emulated one is: its limits are
 * multiplied by BRANCHBOX_LAB_PATIENCE; below 1 a lab that does not come up says so sooner. The box's own limits, such as a trial's 60 s, are never touched by it.
 */
import { BranchboxError } from '../model/errors.ts';

const VARIABLE = 'BRANCHBOX_LAB_PATIENCE';
const LEAST = 0.01;
const MOST = 100;

/** A limit of the lab, in milliseconds, as long as this machine's user wants it. */
export function patiently(limitMs: number, wanted: string | undefined = process.env[VARIABLE]): number {
  if (wanted === undefined || wanted === '') return limitMs;
  const times = Number(wanted);
  if (times >= LEAST && times <= MOST) return Math.round(limitMs * times);
  throw new BranchboxError('cli/usage', {
    message: `${VARIABLE} is "${wanted}", which is no number from ${LEAST} to ${MOST}`,
    mend: `unset it, or set how many times as long the lab is to wait: ${VARIABLE}=10`,
  });
}
