/**
 * Owns what state the engine says each app is in, for status. Does not own what the box says of it (telemetry).
 */
import type { AppObservation, AppsReading } from '../model/observedApps.ts';
import type { Engine } from './engine.ts';
import { engineErrorWords, engineWords } from './engineWords.ts';
import { LABEL_APP, LABEL_ROLE } from './items.ts';

/** One list, and one look at each app. */
export async function readAppStates(
  engine: Pick<Engine, 'listContainers' | 'inspectContainer'>,
  signal: AbortSignal,
): Promise<AppsReading> {
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
    return { apps: states };
  } catch (thrown) {
    return { untold: engineErrorWords(thrown) };
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
  if (details.error !== '') return engineWords(details.error);
  return details.running ? undefined : `it ended with exit code ${details.exitCode}`;
}
