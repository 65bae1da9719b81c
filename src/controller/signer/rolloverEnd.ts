/**
 * Owns the end of a CA rollover on the signer's disk: the CA before is dropped, its key removed, and the one that signs
 * takes its place, so that a next rollover can begin. Does not own beginning one (rollover.ts).
 *
 * The order is the journal: once DROPPING is written it is done, and a signer that is killed after that ends it at its start.
 */
import { join } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import { type Certificate, parseCertificates, toPem } from '../../pki/certificate.ts';
import type { Files } from '../../system/ports.ts';
import { createKeyFiles } from '../keyholder/keyFiles.ts';
import { NEXT_CA, OFFERED_FILE, PRESENT_CA, readSigningCa, SIGNING_FILE } from './rollover.ts';
import { PREVIOUS_FILE } from './revocationLists.ts';

/** No secret: the CA that was dropped last, and NewWithOld, by which a box that was away for all of it goes on. */
const DROPPED = 'domain-ca-dropped.crt';
/** What SIGNING_FILE says once there is no way back. */
const DROPPING = 'dropping';

interface Place {
  readonly files: Files;
  readonly directory: string;
}

export interface Dropped {
  /** Dropped last; undefined: none was. */
  readonly ca: Certificate | undefined;
  /** NewWithOld of it. */
  readonly links: readonly Certificate[];
}

export async function readDropped({ files, directory }: Place): Promise<Dropped> {
  const text = await files.readText(join(directory, DROPPED));
  const [ca, ...links] = text === undefined ? [] : parseCertificates(text);
  return { ca, links };
}

/**
 * Its key is gone for good after this; where it was dropped already, nothing. Throws controller/conflict unless that CA is
 * the one before, while the next one signs.
 */
export async function dropPrevious(place: Place, fingerprintSha256: string): Promise<void> {
  const { files, directory } = place;
  // Of one that failed half way.
  await endDropping(place);
  const present = await createKeyFiles(place).load(PRESENT_CA);
  const signing = present === undefined ? undefined : await readSigningCa(place, present);
  const previous = signing?.previous?.certificate;
  if (previous === undefined && (await readDropped(place)).ca?.fingerprintSha256 === fingerprintSha256)
    return;
  if (signing === undefined || previous?.fingerprintSha256 !== fingerprintSha256) {
    throw new BranchboxError('controller/conflict', {
      message: `${fingerprintSha256} is not the domain CA before the one that signs`,
      mend: 'a rollover ends once the next domain CA signs: branchbox signer rollover --state DIR --sign',
    });
  }
  await files.writeDurable(join(directory, DROPPED), toPem([previous, ...signing.links]), 0o644);
  await files.writeDurable(join(directory, SIGNING_FILE), `${DROPPING}\n`);
  await endDropping(place);
}

/** What a killed signer left of it; nothing where there is nothing. Before any key is read. */
export async function endDropping({ files, directory }: Place): Promise<void> {
  const at = (name: string): string => join(directory, name);
  if ((await files.readText(at(SIGNING_FILE)))?.trim() !== DROPPING) return;
  const next = await files.readText(at(`${NEXT_CA}.pem`));
  // Over the key before, which nobody has to guard any more. Killed behind the removal, it has its place already.
  if (next !== undefined) await files.writeDurable(at(`${PRESENT_CA}.pem`), next, 0o600);
  for (const name of [OFFERED_FILE, `${NEXT_CA}.pem`, PREVIOUS_FILE, SIGNING_FILE])
    await files.remove(at(name));
}
