/**
 * Owns where a box's files say that it is, for a journal that is new or lost, and after a reset that was called off.
 * Does not own the files (ownerStore.ts, quarantineMark.ts, moves.ts, enrol.ts) nor what a person is told of them
 * (statusByFiles.ts).
 */
import type { BootstrapState } from '../model/bootstrap.ts';
import { asBranchboxError } from '../model/errors.ts';
import type { ServiceContext } from './context.ts';

export async function stateByFiles({
  owners,
  quarantine,
  moves,
  enrolment,
  ldevid,
}: Pick<
  ServiceContext,
  'owners' | 'quarantine' | 'moves' | 'enrolment' | 'ldevid'
>): Promise<BootstrapState> {
  const owner = await owners.read();
  if (owner === undefined) return 'FACTORY';
  if (await quarantine.isSet()) return 'QUARANTINED';
  if ((await moves.current()) !== undefined) return 'MIGRATE';
  if (await owners.isFinal()) return 'STRICT';
  // A TPM that does not answer just now says nothing of the certificate: LDEVID looks again.
  const own = await enrolment.read(owner, ldevid).catch(asBranchboxError);
  return own === undefined ? 'OWNED' : 'LDEVID';
}
