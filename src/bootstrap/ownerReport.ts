/**
 * Owns sending one progress report to the server that onboarded the box, where that proves to be the owner's. Does not own
 * what is said and when (progress.ts) nor the exchange (sztp.ts).
 */
import { asBranchboxError } from '../model/errors.ts';
import type { StateContext } from './context.ts';
import { overUplinks } from './overUplinks.ts';
import { ownerPeer } from './ownerServers.ts';
import type { Telling } from './progress.ts';

/** Throws pki/* where the server does not prove to be the owner's. */
export async function reportToOwner(
  context: Pick<StateContext, 'owners' | 'revocations' | 'factory' | 'clock' | 'uplinks' | 'sztp'>,
  telling: Telling,
  signal: AbortSignal,
): Promise<void> {
  const { owners, revocations, factory, uplinks, sztp } = context;
  const owner = await owners.read();
  if (owner === undefined) return;
  // Where the list is not to be had nobody is told anything; the state that waits for it says why.
  const missing = await revocations.require(owner, factory.tls, signal).catch(asBranchboxError);
  if (missing !== undefined) return;
  const peer = ownerPeer(owner, context);
  await overUplinks(await uplinks.all(), (uplink) => sztp.report({ ...telling, uplink, peer, signal }));
}
