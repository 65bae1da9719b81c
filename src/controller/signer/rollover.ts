/**
 * Owns the next domain CA: making it beside the present one, the two certifying each other (RFC 4210 4.4), so that every box takes
 * it at its next renewal; then, by a separate order, having it sign. Does not own what a box takes (bootstrap/rollover), signing
 * (signer.ts) nor the end of the CA before (rolloverEnd.ts).
 */
import { join } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import { type Certificate, parseCertificates, toPem } from '../../pki/certificate.ts';
import { type Credential, issueCertificate, selfSignedCa } from '../../pki/issue.ts';
import type { Clock, Files, FirstFiles } from '../../system/ports.ts';
import { createKeyFiles, makeFirst } from '../keyholder/keyFiles.ts';
import { BACKDATE_MS, CA_LIFE_MS } from './lives.ts';

/** Names of key files (keyholder/keyFiles.ts). */
export const PRESENT_CA = 'domain-ca';
export const NEXT_CA = 'domain-ca-next';
/** What boxes are offered, no secret: the next CA, NewWithOld, OldWithNew (RFC 4210 4.4). Written last. */
export const OFFERED_FILE = 'domain-ca-next.crt';

/** Exists once the next CA signs, and says so. */
export const SIGNING_FILE = 'domain-ca-signing';
const NEXT_SIGNS = 'next';

/** Which CA signs, and who else counts. */
export interface SigningCa {
  readonly ca: Credential;
  /** What goes along with whatever it signs: for those who know the CA before alone. */
  readonly links: readonly Certificate[];
  /** The CA before, whose certificates count still, and may have to be revoked. */
  readonly previous: Credential | undefined;
}

/** Throws system/file where the next CA was to sign and is not there: it is never made anew by that. */
export async function readSigningCa(
  options: { readonly files: Files; readonly directory: string },
  present: Credential,
): Promise<SigningCa> {
  const { files, directory } = options;
  if (!(await isNextToSign(files, directory))) return { ca: present, links: [], previous: undefined };
  const ca = await createKeyFiles(options).load(NEXT_CA);
  const links = (await readOffered(files, directory)).filter(
    (one) => ca !== undefined && isLink(one, ca.certificate),
  );
  if (ca === undefined || links.length === 0) throw lacksNext(directory);
  return { ca, links, previous: present };
}

const isNextToSign = async (files: Pick<Files, 'readText'>, directory: string): Promise<boolean> =>
  (await files.readText(join(directory, SIGNING_FILE)))?.trim() === NEXT_SIGNS;

const lacksNext = (directory: string): BranchboxError =>
  new BranchboxError('system/file', {
    message: `${directory} says that the next domain CA signs, and lacks it or its link`,
    mend: 'restore the directory from its copy',
  });

/** Whether it is that CA's key, certified by another CA. */
export const isLink = (one: Certificate, ca: Certificate): boolean =>
  one.fingerprintSha256 !== ca.fingerprintSha256 && one.spkiSha256 === ca.spkiSha256;

/**
 * From the next start of the signer on. Resolves to the CA that signs then; throws system/file before it was begun, and where the
 * signer would not start by it.
 */
export async function signByNext(options: {
  readonly files: Files;
  readonly directory: string;
}): Promise<Certificate> {
  const { files, directory } = options;
  const offered = await readOffered(files, directory);
  const [next] = offered;
  if (next === undefined) {
    throw new BranchboxError('system/file', {
      message: `${directory} holds no next domain CA`,
      mend: 'begin first: branchbox signer rollover --state DIR',
    });
  }
  const held = await createKeyFiles(options).load(NEXT_CA);
  if (held === undefined || !fits(offered, held.certificate)) {
    throw new BranchboxError('system/file', {
      message: `${directory} offers the next domain CA ${next.fingerprintSha256}, and does not hold its key`,
      mend: 'begin again, which offers the one whose key is there: branchbox signer rollover --state DIR',
    });
  }
  await files.writeDurable(join(directory, SIGNING_FILE), `${NEXT_SIGNS}\n`);
  return next;
}

/** The next CA's certificate and the two links; empty before a rollover was begun. */
export async function readOffered(
  files: Pick<Files, 'readText'>,
  directory: string,
): Promise<readonly Certificate[]> {
  const text = await files.readText(join(directory, OFFERED_FILE));
  return text === undefined ? [] : parseCertificates(text);
}

/**
 * Idempotent: where it was begun before, what was made then. Two at once end with the same: the key that was written first counts,
 * so that what either says of it holds. Throws system/file where there is no present CA.
 */
export async function beginRollover(options: {
  readonly files: FirstFiles;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly directory: string;
}): Promise<readonly Certificate[]> {
  const { files, clock, directory } = options;
  const keyFiles = createKeyFiles({ files, directory });
  for (;;) {
    const begun = await readOffered(files, directory);
    const held = await keyFiles.load(NEXT_CA);
    if (held !== undefined && fits(begun, held.certificate)) return begun;
    if (held === undefined && (await isNextToSign(files, directory))) throw lacksNext(directory);
    const present = await keyFiles.load(PRESENT_CA);
    if (present === undefined) {
      throw new BranchboxError('system/file', {
        message: `${directory} holds no domain CA`,
        mend: 'name the directory of a signer that was started once',
      });
    }
    const nowMs = clock.nowMs();
    const validity = { notBeforeMs: nowMs - BACKDATE_MS, notAfterMs: nowMs + CA_LIFE_MS };
    const commonName = `Branchbox domain CA ${new Date(nowMs).toISOString().slice(0, 10)}`;
    // Killed after this: the key is there, and the links are made for it by the next call.
    const next =
      held ??
      (await makeFirst({ files, directory }, NEXT_CA, ({ privateKey }) =>
        selfSignedCa({ commonName, key: privateKey, validity }),
      ));
    if (next === undefined) continue;
    const offered = [next.certificate, link(next, present), link(present, next)];
    await files.writeDurable(join(directory, OFFERED_FILE), toPem(offered), 0o644);
  }
}

/** Whether what is offered is this CA and its links. */
const fits = (offered: readonly Certificate[], next: Certificate): boolean =>
  offered[0]?.fingerprintSha256 === next.fingerprintSha256 && offered.some((one) => isLink(one, next));

/** One CA's key under its own name, certified by another, for as long as both are valid. */
function link(of: Credential, by: Credential): Certificate {
  return issueCertificate({
    profile: { kind: 'ca', commonName: of.certificate.subject.commonName ?? '' },
    publicKey: of.certificate.publicKey,
    issuer: by,
    validity: {
      notBeforeMs: Math.max(of.certificate.notBeforeMs, by.certificate.notBeforeMs),
      notAfterMs: Math.min(of.certificate.notAfterMs, by.certificate.notAfterMs),
    },
  });
}
