/**
 * Owns proving to the owner's server who this box is. Does not own the question and its answers (standing.ts), what follows
 * from them (ownerTrust.ts), nor how the server is judged (ownerServers.ts).
 */
import type { Owner } from '../model/bootstrap.ts';
import type { StateContext } from './context.ts';
import type { LocalIdentity } from './enrol.ts';
import type { TlsIdentity } from './https.ts';
import { overUplinks } from './overUplinks.ts';
import { ownerPeer } from './ownerServers.ts';
import { askStanding } from './standing.ts';

/**
 * Dates, names and the owner's acceptance of who we are, over a new connection. Throws bootstrap/quarantined where the
 * owner says that it does not trust this box, bootstrap/superseded where it does, and not the CA of its certificate.
 */
export async function proveStrictly(
  context: StateContext,
  owner: Owner,
  identity: TlsIdentity,
  signal: AbortSignal,
): Promise<void> {
  const { https } = context;
  const peer = ownerPeer(owner, context);
  await overUplinks(await context.uplinks.all(), (uplink) =>
    askStanding({ https, owner, peer, uplink, identity, signal }),
  );
  context.notices.set('trust', []);
}

/**
 * The same under a certificate that is new. Now that a server that checks dates took it, its beginning has passed: a lower
 * bound of the time that outlives this start of the box. Durable.
 */
export async function proveAnew(
  context: StateContext,
  owner: Owner,
  { tls, certificate }: LocalIdentity,
  signal: AbortSignal,
): Promise<void> {
  await proveStrictly(context, owner, tls, signal);
  await context.clock.raise(certificate.notBeforeMs);
}
