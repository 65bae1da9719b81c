/**
 * Owns what a box must still have after its power was cut, and telling what of it is gone: who it is, what its app
 * wrote and synced, the desired state that it had told its controller of. Pure. Does not own reading it (box.ts).
 */
import { X509Certificate } from 'node:crypto';

export interface Committed {
  readonly epoch: number;
  readonly generation: number;
}

export interface LocalIdentity {
  /** PEM; what follows the first certificate is its chain. */
  readonly certificate: string;
  /** Of the key's file: of a key in the TPM, what that TPM alone can load. */
  readonly keySha256: string;
}

export interface Kept {
  readonly serial: string;
  readonly gatewayId: string;
  readonly identity: LocalIdentity;
  readonly committed: Committed;
  /** Of the app's volume: each file that these tests wrote and synced, by name. */
  readonly files: Readonly<Record<string, string>>;
}

/** Before a first boot there is neither certificate nor file. */
export type Expected = Pick<Kept, 'serial' | 'gatewayId' | 'committed'> & Partial<Kept>;

/** What a disk as the factory made it leaves to be expected. A controller never goes back behind what it was told. */
export const asOfFactory = ({ serial, gatewayId, committed }: Expected): Expected => ({
  serial,
  gatewayId,
  committed,
});

/** Order is (epoch, generation). */
export const isOlder = (one: Committed, other: Committed): boolean =>
  one.epoch < other.epoch || (one.epoch === other.epoch && one.generation < other.generation);

/** Sentences; none: all is there. `anchors`: the certificates of the CA that may renew. */
export function lossesOf(before: Expected, after: Kept, anchors: readonly string[]): readonly string[] {
  const losses: string[] = [];
  if (after.serial !== before.serial) losses.push(`its serial was ${before.serial} and is ${after.serial}`);
  if (after.gatewayId !== before.gatewayId)
    losses.push(`it was gateway ${before.gatewayId} and is ${after.gatewayId}`);
  if (before.identity !== undefined) {
    const identity = identityLoss(before.identity, after.identity, anchors);
    if (identity !== undefined) losses.push(identity);
  }
  if (isOlder(after.committed, before.committed))
    losses.push(`it had committed ${shown(before.committed)} and has ${shown(after.committed)}`);
  for (const [name, content] of Object.entries(before.files ?? {})) {
    const now = after.files[name];
    if (now === undefined) losses.push(`${name} of the app's volume is gone`);
    else if (now !== content) losses.push(`${name} of the app's volume held "${content}" and holds "${now}"`);
  }
  return losses;
}

export const isRenewed = (before: Expected, after: Kept): boolean =>
  before.identity !== undefined && before.identity.certificate !== after.identity.certificate;

function identityLoss(
  before: LocalIdentity,
  after: LocalIdentity,
  anchors: readonly string[],
): string | undefined {
  const [was, is] = [new X509Certificate(before.certificate), new X509Certificate(after.certificate)];
  if (was.fingerprint256 === is.fingerprint256)
    return before.keySha256 === after.keySha256 ? undefined : 'its key is another under the same certificate';
  if (was.subject !== is.subject) return `its certificate was for ${was.subject} and is for ${is.subject}`;
  if (is.validFromDate < was.validFromDate)
    return `its certificate began at ${was.validFrom} and another begins before it, at ${is.validFrom}`;
  const isOfCa = anchors.some((anchor) => is.verify(new X509Certificate(anchor).publicKey));
  return isOfCa ? undefined : 'its certificate is another, and not of the CA of before';
}

const shown = ({ epoch, generation }: Committed): string => `generation ${generation} of epoch ${epoch}`;
