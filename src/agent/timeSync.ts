/**
 * Owns whether the system's clock is known to be right: chrony says that it follows time servers and that the clock is with
 * them, and what was signed for this box does not say otherwise. Does not own the clock, nor the floor (bootstrap/clockFloor).
 *
 * chrony is asked, not the kernel: adjtimex's STA_UNSYNC says that somebody set the clock some time, and a clock that chrony
 * may not step any more is "synchronised" while it is twenty years off. NTP is not authenticated, so this is as right as a
 * box can know; what it decides must cost little where it is wrong.
 */
import { floorOf } from '../model/knownTime.ts';
import type { System } from '../system/ports.ts';

/** `right`; no time server yet; or one that says a time which cannot be. */
export type TimeSync = 'right' | 'unknown' | 'before-floor';

const TIMEOUT_MS = 5000;
/** Of a clock that chrony disciplines. */
const MAX_OFFSET_S = 1;
/** What chrony calls itself where it follows nobody (`local`). */
const LOCAL_REFERENCE = '7F7F0101';
const LEAPS = ['Normal', 'Insert second', 'Delete second'];

export async function readTimeSync(
  { runner, files, clock }: Pick<System, 'runner' | 'files' | 'clock'>,
  floorPath: string,
  signal: AbortSignal,
): Promise<TimeSync> {
  const options = { signal, timeoutMs: TIMEOUT_MS };
  // Its socket alone: of a chrony that is away nothing is asked over the network.
  const words = ['-c', '-n', '-h', '/run/chrony/chronyd.sock', 'tracking'];
  const result = await runner.run('chronyc', words, options).catch(() => undefined);
  if (result?.exitCode !== 0 || !isTracking(result.stdout)) return 'unknown';
  const floorMs = floorOf(await files.readText(floorPath, 64).catch(() => undefined));
  return floorMs !== undefined && clock.nowMs() < floorMs ? 'before-floor' : 'right';
}

/** `chronyc -c tracking`: fourteen fields, as chronyc(1) lists them. Pure. */
export function isTracking(line: string): boolean {
  const fields = line.trim().split(',');
  const [reference = '', , stratum = '', , offsetS = ''] = fields;
  return (
    fields.length === 14 &&
    reference !== LOCAL_REFERENCE &&
    /^\d+$/.test(stratum) &&
    Number(stratum) >= 1 &&
    Number(stratum) < 16 &&
    /^-?\d/.test(offsetS) &&
    Math.abs(Number(offsetS)) <= MAX_OFFSET_S &&
    LEAPS.includes(fields[13] ?? '')
  );
}
