/**
 * Owns reading who this box is now: its owner's record, its certificate and key, the anchor of its domain,
 * what its owner revoked.
 * The identity process owns the files; they are read anew at each use, since certificates get renewed.
 */
import { decodeJson } from '../model/decode.ts';
import { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { KeyHolding } from '../model/keyHolder.ts';
import { MOVE_FILES } from '../model/move.ts';
import { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificates } from '../pki/certificate.ts';
import { MAX_LISTS_CHARS, readRevocationLists, type SignedList } from '../pki/crlVerify.ts';
import { isTpmKey } from '../pki/tss2.ts';
import type { DeviceCredentials } from '../system/deviceClient.ts';
import { judgeTlsPeer } from '../pki/tlsPeer.ts';
import type { Files, System } from '../system/ports.ts';
import type { TpmUse } from '../system/tpmUse.ts';
import { readMoveRecord } from './moveTurn.ts';
import { type AgentPaths, knownTimePath, ownerListsPath } from './paths.ts';
import { readTime, type TimeNow } from './knownTime.ts';

export interface StoredIdentity extends DeviceCredentials {
  readonly owner: Owner;
  readonly gatewayId: string;
  readonly anchors: readonly Certificate[];
  /** What the owner revoked, PEM; undefined where nothing is known of it. */
  readonly revocationListsPem?: string | undefined;
}
export interface OwnIdentity extends StoredIdentity {
  /** The time when this was read: dates are judged by it, not by the system's clock. */
  readonly atMs: number;
}

/** undefined before the box has an owner and a certificate. */
export async function readOwnIdentity(
  files: Files,
  paths: AgentPaths,
  tpm: Pick<TpmUse, 'context'>,
): Promise<StoredIdentity | undefined> {
  const at = (name: string): string => `${paths.identity}/${name}`;
  const source = (await ofMove(files, paths)) ?? (await ofNow(files, at));
  if (source === undefined) return undefined;
  const { owner } = source;
  const [keyText, certificatePem] = await Promise.all([
    files.readText(at(source.key)),
    files.readText(at(source.certificate)),
  ]);
  if (keyText === undefined || certificatePem === undefined) return undefined;
  const key = new Secret(keyText);
  const anchorPem = owner.domainAnchorPem;
  return {
    owner,
    gatewayId: owner.gatewayId,
    anchors: parseCertificates(anchorPem),
    key,
    certificatePem,
    anchorPem,
    revocationListsPem: await readListsPem(files, paths),
    ...(isTpmKey(key) && {
      context: () =>
        tpm.context({
          key: keyText,
          cert: certificatePem,
          ca: anchorPem,
          allowPartialTrustChain: true,
          minVersion: 'TLSv1.2',
        }),
    }),
  };
}

/** One that cannot be read is none: the identity process has it anew, and nothing here may cut the box off meanwhile. */
async function readListsPem(files: Files, paths: AgentPaths): Promise<string | undefined> {
  try {
    return await files.readText(ownerListsPath(paths), MAX_LISTS_CHARS);
  } catch (thrown) {
    if (thrown instanceof BranchboxError) return undefined;
    throw thrown;
  }
}

/** One that cannot be read is none. */
export function listsIn(pem: string | undefined): readonly SignedList[] {
  try {
    return pem === undefined ? [] : readRevocationLists(pem);
  } catch (thrown) {
    if (thrown instanceof BranchboxError) return [];
    throw thrown;
  }
}

interface Source {
  readonly owner: Owner;
  readonly key: string;
  readonly certificate: string;
}

async function ofNow(files: Files, at: (name: string) => string): Promise<Source | undefined> {
  const text = await files.readText(at('owner.json'));
  if (text === undefined) return undefined;
  const owner = decodeJson(Owner, text, at('owner.json'));
  return { owner, key: 'ldevid.key', certificate: 'ldevid.crt' };
}

/** From when the agent tries the next owner's state until all of the next owner's has its usual place. */
async function ofMove(files: Files, paths: AgentPaths): Promise<Source | undefined> {
  const move = (await readMoveRecord(files, paths))?.move;
  if (move === undefined || move.stage === 'enrolling') return undefined;
  return { owner: move.owner, key: MOVE_FILES.key, certificate: MOVE_FILES.certificate };
}

/**
 * The TLS library knows no clock but the system's, and no list that may be overdue: where that clock is wrong, or the owner
 * revoked servers, it does not decide.
 */
export function atKnownTime(stored: StoredIdentity, { atMs, wallMs }: TimeNow): OwnIdentity {
  const { anchors, revocationListsPem } = stored;
  if (atMs === wallMs && revocationListsPem === undefined) return { ...stored, atMs };
  return {
    ...stored,
    atMs,
    async judge(socket, host) {
      await judgeTlsPeer(socket, { host, who: host, anchors, atMs, lists: listsIn(revocationListsPem) });
    },
  };
}

export interface IdentityReader {
  /** As last read. */
  latest(): OwnIdentity | undefined;
  /** Anew; files that cannot be read count as none. */
  read(): Promise<OwnIdentity | undefined>;
  /** Where the key is, as last read. */
  keyHolder(): Pick<KeyHolding, 'ldevid'>;
  /** As read(); throws controller/unreachable where there is none. */
  require(): Promise<OwnIdentity>;
}

export function createIdentityReader(
  system: Pick<System, 'files' | 'clock' | 'log'>,
  paths: AgentPaths,
  tpm: Pick<TpmUse, 'context'>,
): IdentityReader {
  const { files, log } = system;
  let latest: OwnIdentity | undefined;
  const read = async (): Promise<OwnIdentity | undefined> => {
    try {
      const stored = await readOwnIdentity(files, paths, tpm);
      latest = stored && atKnownTime(stored, await readTime(system, knownTimePath(paths)));
    } catch (thrown) {
      log.warn("the box's identity cannot be read", { error: thrown });
      latest = undefined;
    }
    return latest;
  };
  return {
    latest: () => latest,
    keyHolder: () => (latest === undefined ? {} : { ldevid: isTpmKey(latest.key) ? 'tpm' : 'software' }),
    read,
    async require() {
      const own = await read();
      if (own !== undefined) return own;
      throw new BranchboxError('controller/unreachable', { message: 'this box has no owner yet' });
    },
  };
}
