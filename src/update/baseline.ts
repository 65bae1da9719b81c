/**
 * Owns looking at the box before a trial until it is known what is up: a single look may fall on a line that is just
 * coming back, or on an agent that has just started.
 * Does not own what a trial is held to (trial.ts).
 */
import type { Clock } from '../system/ports.ts';
import { type Baseline, baselineOf, VERDICT_MS, type Vitals } from './trial.ts';

const LOOK_MS = 2000;
/** What is down has so long to come back; then it was down before the update. A path that fails over takes seconds. */
const PATIENCE_MS = 120_000;

export interface BaselineParts {
  /** undefined before the box was first looked at. */
  readonly vitals: () => Vitals | undefined;
  /** Since the machine started. */
  readonly uptimeMs: () => Promise<number>;
  /** How long this start took until all was up; undefined: it never was. */
  readonly upAfterMs: () => Promise<number | undefined>;
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
}

export interface Before {
  /** undefined: the box could not be looked at all the time. */
  readonly baseline: Baseline | undefined;
  readonly upAfterMs: number | undefined;
}

/**
 * At once where all is up. Else all that was up at any look, after two minutes, and not before this start of the box has
 * had the time that it gives the next version.
 */
export async function lookBefore(parts: BaselineParts, signal: AbortSignal): Promise<Before> {
  const { clock } = parts;
  const beganMs = clock.monotonicMs();
  let baseline: Baseline | undefined;
  for (;;) {
    const vitals = parts.vitals();
    if (vitals !== undefined) baseline = joined(baseline, baselineOf(vitals));
    const upAfterMs = await parts.upAfterMs();
    if (vitals !== undefined && upAfterMs !== undefined && isAllUp(vitals)) return { baseline, upAfterMs };
    const patient = clock.monotonicMs() - beganMs >= PATIENCE_MS;
    if (patient && (await parts.uptimeMs()) >= VERDICT_MS) return { baseline, upAfterMs };
    await clock.sleep(LOOK_MS, signal);
  }
}

const isAllUp = ({ desired, controller, paths, segments, apps }: Vitals): boolean =>
  desired && controller && ![...paths.values(), ...segments.values(), ...apps.values()].includes(false);

function joined(before: Baseline | undefined, now: Baseline): Baseline {
  if (before === undefined) return now;
  const both = (a: readonly string[], b: readonly string[]): string[] =>
    [...new Set([...a, ...b])].toSorted();
  return {
    desired: before.desired || now.desired,
    controller: before.controller || now.controller,
    paths: both(before.paths, now.paths),
    segments: both(before.segments, now.segments),
    apps: both(before.apps, now.apps),
  };
}
