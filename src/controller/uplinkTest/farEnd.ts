/**
 * Owns putting the far end of uplink tests together: sessions, the UDP responder, the routes of the device API.
 */
import type { Clock, Logger } from '../../system/ports.ts';
import { createUplinkTestRoutes, type UplinkTestRoutes } from './deviceRoutes.ts';
import { startResponder } from './responder.ts';
import { createProbeSessions } from './sessions.ts';

export async function startUplinkTest(options: {
  readonly address: string;
  readonly ports: readonly [number, number];
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Logger;
}): Promise<{ readonly routes: UplinkTestRoutes; close(): void }> {
  const { address, ports, clock, log } = options;
  const monotonicMs = (): number => clock.monotonicMs();
  const sessions = createProbeSessions({ ports, monotonicMs });
  const responder = await startResponder({ address, ports, sessions, log });
  return {
    routes: createUplinkTestRoutes({ sessions: responder.answers ? sessions : undefined, monotonicMs }),
    close: () => responder.close(),
  };
}
