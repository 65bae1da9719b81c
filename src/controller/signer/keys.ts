/**
 * Owns the signer's keys: the domain CA and the two that sign in its name, made on the first start, renewed in time.
 * Does not own what is signed with them (signer.ts).
 */
import { join } from 'node:path';
import type { Certificate } from '../../pki/certificate.ts';
import { type Credential, issueCertificate, type Profile, selfSignedCa } from '../../pki/issue.ts';
import type { Clock, Files } from '../../system/ports.ts';
import { createSerialQueue } from '../../system/serialQueue.ts';
import { createKeyFiles } from '../keyholder/keyFiles.ts';
import { BACKDATE_MS, CA_LIFE_MS, DAY_MS } from './lives.ts';
import { isLink, PRESENT_CA, readSigningCa } from './rollover.ts';
import { dropPrevious, endDropping, readDropped } from './rolloverEnd.ts';

export interface SignerKeys {
  /** Which signs. */
  readonly domainCa: Credential;
  /** What goes along with what it signs (rollover.ts). */
  readonly links: readonly Certificate[];
  /** The CA before, after a rollover, until it is dropped. */
  readonly previous: Credential | undefined;
  /** The CA before counts no more, and its key is removed. Idempotent. Throws controller/conflict for any other CA. */
  drop(fingerprintSha256: string): Promise<void>;
  configurationSigning(): Promise<Credential>;
  owner(): Promise<Credential>;
}

/**
 * What is signed today must still verify when a box that was switched off reads it: renewed at 2 years left, so
 * every signature is good for 2 years at least. The keys stand beside the CA's own; a shorter life saves nothing.
 */
const SIGNING_LIFE_MS = 4 * 365 * DAY_MS;
const SIGNING_LEFT_MS = 2 * 365 * DAY_MS;

export async function openSignerKeys(options: {
  readonly files: Files;
  readonly clock: Clock;
  readonly directory: string;
}): Promise<SignerKeys> {
  const { files, clock, directory } = options;
  const place = { files, directory };
  await endDropping(place);
  const keyFiles = createKeyFiles(place);
  const validity = (lifeMs: number) => {
    const nowMs = clock.nowMs();
    return { notBeforeMs: nowMs - BACKDATE_MS, notAfterMs: nowMs + lifeMs };
  };
  const present =
    (await keyFiles.load(PRESENT_CA)) ??
    (await keyFiles.make(PRESENT_CA, ({ privateKey }) =>
      selfSignedCa({ commonName: 'Branchbox domain CA', key: privateKey, validity: validity(CA_LIFE_MS) }),
    ));
  const signing = await readSigningCa(place, present);
  const domainCa = signing.ca;
  let { previous } = signing;
  const dropped = await readDropped(place);
  // A box that was away since before the rollover knows only the dropped CA: its link to this one lets that box go on.
  const links =
    previous === undefined ? dropped.links.filter((one) => isLink(one, domainCa.certificate)) : signing.links;
  await files.writeDurable(join(directory, 'domain-ca.crt'), domainCa.certificate.pem, 0o644);

  const renewed = (name: string, profile: Profile): (() => Promise<Credential>) => {
    let current: Credential | undefined;
    const isGood = ({ certificate }: Credential): boolean =>
      certificate.notAfterMs - clock.nowMs() >= SIGNING_LEFT_MS &&
      Buffer.from(certificate.issuerDer).equals(domainCa.certificate.subjectDer);
    const open = async (): Promise<Credential> => {
      const kept = await keyFiles.load(name);
      if (kept !== undefined && isGood(kept)) return kept;
      return keyFiles.make(name, ({ publicKey }) =>
        issueCertificate({ profile, publicKey, issuer: domainCa, validity: validity(SIGNING_LIFE_MS) }),
      );
    };
    // One at a time: of two that find it due, one makes the next and the other gets the same.
    const inTurn = createSerialQueue();
    return () =>
      inTurn(async () => {
        if (current === undefined || !isGood(current)) current = await open();
        return { ...current, chain: links };
      });
  };
  return {
    domainCa,
    links,
    get previous() {
      return previous;
    },
    async drop(fingerprintSha256) {
      await dropPrevious(place, fingerprintSha256);
      previous = undefined;
    },
    configurationSigning: renewed('configuration-signing', {
      kind: 'configuration-signing',
      commonName: 'Branchbox configuration signing',
    }),
    owner: renewed('owner', { kind: 'owner', commonName: 'Branchbox owner' }),
  };
}
