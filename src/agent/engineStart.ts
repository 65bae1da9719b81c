/**
 * Owns starting the container engine on a box that has apps: on another it would take 170 MB, and a share of every boot,
 * for nothing. Never stops it: what is no longer wanted is removed through it, and a box that had an app may get the next.
 * Does not own that a boot starts it without waiting for the agent (bootUnits.ts) nor keeping it alive (its unit).
 */
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import type { Logger, Services } from '../system/ports.ts';

export const ENGINE_UNIT = 'docker.service';

export interface EngineStart {
  /** Returns at once, and never fails: nothing but apps waits for an engine, and their gate says that it is away. */
  look(spec: DesiredSpec | undefined, facts: Facts): void;
}

export function createEngineStart(parts: {
  readonly services: Pick<Services, 'start'>;
  readonly log: Logger;
}): EngineStart {
  const { services, log } = parts;
  let isStarting = false;
  const start = async (): Promise<void> => {
    isStarting = true;
    try {
      await services.start([ENGINE_UNIT]);
    } catch (thrown) {
      log.warn('the container engine does not start', { error: thrown });
    } finally {
      isStarting = false;
    }
  };
  return {
    look(spec, facts) {
      if (isStarting || facts.engine !== undefined || (spec?.apps ?? []).length === 0) return;
      void start();
    },
  };
}
