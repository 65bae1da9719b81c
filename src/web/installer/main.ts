/**
 * Owns putting the installer's page together: port 80 of a box that is not enrolled. The agent starts and stops its
 * unit; this process holds no key and changes nothing.
 */
import { randomBytes } from 'node:crypto';
import { isBeforeEnrolment } from '../../model/bootstrap.ts';
import { createLinuxSystem } from '../../system/linux/system.ts';
import { createFormTokens } from './formToken.ts';
import { createPageServer } from './server.ts';
import { createSources } from './sources.ts';

/** Sockets of identity process and agent that are for this page alone. */
const SOCKETS = '/run/branchbox/installer';
const PORT = 80;

/** Until the signal aborts. */
export async function runInstallerPage({ signal }: { readonly signal: AbortSignal }): Promise<void> {
  const { clock, log } = createLinuxSystem({ name: 'installer-page' });
  const monotonicMs = (): number => clock.monotonicMs();
  const sources = createSources({ directory: SOCKETS, monotonicMs });
  const server = createPageServer({
    look: () => sources.look(),
    // While the identity process is away the agent, which runs this unit, knows best.
    isOpen: (progress) =>
      progress === undefined || progress.state === 'WIPE' || isBeforeEnrolment(progress.state),
    offer: (offer) => sources.offer(offer),
    tokens: createFormTokens({ key: randomBytes(32), monotonicMs }),
    nowMs: () => clock.nowMs(),
    monotonicMs,
    log,
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(PORT, '0.0.0.0', resolve);
  });
  log.info('the page for an installer is open', { port: PORT });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  server.close();
  server.closeAllConnections();
}
