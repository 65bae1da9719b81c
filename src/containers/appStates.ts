/**
 * Owns what state the engine says each app is in, for status. Does not own what the box says of it (telemetry).
 */
import type { Engine } from './engine.ts';
import { LABEL_APP, LABEL_ROLE } from './items.ts';

export interface AppObservation {
  readonly app: string;
  readonly state: 'running' | 'starting' | 'stopped' | 'failed';
  readonly restarts: number;
  /** Why it does not run, where the engine knows. */
  readonly reason: string | undefined;
}

/** undefined where no engine answers. One list, and one look at each app. */
export async function readAppStates(
  engine: Engine,
  signal: AbortSignal,
): Promise<readonly AppObservation[] | undefined> {
  try {
    const containers = await engine.listContainers(LABEL_APP, signal);
    const states: AppObservation[] = [];
    for (const container of containers.filter(({ labels }) => labels[LABEL_ROLE] === 'app')) {
      const details = await engine.inspectContainer(container.id, signal);
      if (details === undefined) continue;
      states.push({
        app: container.labels[LABEL_APP] ?? '',
        state: stateOf(container.state, details.exitCode),
        restarts: details.restarts,
        reason: reasonOf(details),
      });
    }
    return states;
  } catch {
    return undefined;
  }
}

function stateOf(state: string, exitCode: number): AppObservation['state'] {
  if (state === 'running') return 'running';
  if (state === 'created') return 'starting';
  // restarting: it ended, and will again unless something changes.
  if (state === 'restarting' || exitCode !== 0) return 'failed';
  return 'stopped';
}

function reasonOf(details: { outOfMemory: boolean; error: string; exitCode: number; running: boolean }) {
  if (details.outOfMemory) return 'it was killed for using more memory than its limit';
  if (details.error !== '') return details.error.slice(0, 300);
  return details.running ? undefined : `it ended with exit code ${details.exitCode}`;
}
