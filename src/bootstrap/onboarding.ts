/**
 * Owns judging what a bootstrap server, a medium or the order of a move handed over: voucher, owner certificate, conveyed
 * information, as one whole. Whoever sent it is nobody: only what is signed counts, and of unsigned information only a
 * bare redirect (RFC 8572 5.4).
 * Does not own signatures (pki/voucher, pki/conveyed), how it came, nor the words in it (conveyedInformation.ts).
 */
import { Owner } from '../model/bootstrap.ts';
import { SANE_AHEAD_MS } from '../model/knownTime.ts';
import { BranchboxError } from '../model/errors.ts';
import { type BootstrapNetwork, MediumConfiguration } from '../model/medium.ts';
import type { GetBootstrappingDataResponse, OnboardingInformation, ProgressType } from '../model/sztp.ts';
import type { Certificate } from '../pki/certificate.ts';
import { readUntrustedConveyed, verifyConveyed } from '../pki/conveyed.ts';
import { openEnveloped } from '../pki/enveloped.ts';
import type { Recipient } from '../pki/keyEncryption.ts';
import { type Voucher, verifyVoucher } from '../pki/voucher.ts';
import type { TrustedClock } from './clockFloor.ts';
import { configurationOf, readInformation, type RedirectTargets, targetsOf } from './conveyedInformation.ts';
import { type RunningOs, unmetBy } from './demands.ts';
import type { FactoryIdentity } from './factory.ts';

export type Verdict =
  | ({ readonly kind: 'redirect' } & RedirectTargets)
  | { readonly kind: 'owner'; readonly owner: Owner; readonly voucher: Voucher }
  | Refusal;

/** Of somebody who is known by now, and is to hear of it. */
export interface Refusal {
  readonly kind: 'refused';
  readonly why: BranchboxError;
  /** What there is to report, the last of it ending the attempt. */
  readonly progress: readonly ProgressType[];
  /** By what its server proves to be theirs. */
  readonly anchors: readonly Certificate[];
}

type JudgingIdentity = Pick<FactoryIdentity, 'serial' | 'idevid' | 'voucherAnchors'> & {
  readonly key: Recipient;
};

/** Each may be encrypted to the box (RFC 8572 3.4), and is judged by what is inside. */
const opened = async (der: Uint8Array, { key, idevid }: JudgingIdentity): Promise<Uint8Array> =>
  openEnveloped(der, { recipient: key, certificate: idevid });

type Artefacts = GetBootstrappingDataResponse['ietf-sztp-bootstrap-server:output'];

export async function judge(
  artefacts: Artefacts,
  context: {
    readonly factory: JudgingIdentity;
    readonly nonce: Uint8Array;
    readonly clock: TrustedClock;
    readonly os: RunningOs;
    /** By which the server that sent it proved itself, where one did. */
    readonly anchors?: readonly Certificate[] | undefined;
  },
): Promise<Verdict> {
  const { factory, nonce, clock, os, anchors } = context;
  const conveyed = Buffer.from(artefacts['conveyed-information'], 'base64');
  const voucherDer = artefacts['ownership-voucher'];
  const ownerCertificate = artefacts['owner-certificate'];

  if (voucherDer === undefined && ownerCertificate === undefined) {
    const { content, format } = readUntrustedConveyed(await opened(conveyed, factory));
    const information = readInformation(content, format);
    if (!('ietf-sztp-conveyed-info:redirect-information' in information)) {
      // Also of a server that proved itself, where RFC 8572 5.3 would let a device take it: a box has an owner by a
      // voucher, which says who that is and what time it is, and it asked for signed data.
      const why = new BranchboxError('pki/untrusted', {
        message: 'The server sent onboarding information that nobody signed',
      });
      if (anchors === undefined) throw why;
      return { kind: 'refused', why, progress: ['parsing-error'], anchors };
    }
    return { kind: 'redirect', ...targetsOf(information, anchors !== undefined) };
  }
  if (voucherDer === undefined || ownerCertificate === undefined) {
    throw new BranchboxError('pki/malformed', {
      message: 'The server sent signed data without its voucher or without its owner certificate',
    });
  }

  const voucher = await verifyVoucher(await opened(Buffer.from(voucherDer, 'base64'), factory), {
    anchors: factory.voucherAnchors,
    floorMs: clock.floorMs(),
    expect: { serialNumber: factory.serial, idevidIssuer: factory.idevid.authorityKeyId, nonce },
  });
  // Made after our nonce was, by whom the factory trusts: now we know what time it is. Not for good before the owner's server
  // stood by it (states.ts): a manufacturer whose clock is years ahead would keep the box from every server for as long.
  await clock.learn(voucher.createdOnMs);
  const { content, format } = await verifyConveyed(await opened(conveyed, factory), {
    ownerCertificate: await opened(Buffer.from(ownerCertificate, 'base64'), factory),
    pinnedDomainCert: voucher.pinnedDomainCert,
    atMs: clock.nowMs(),
  });
  const pinned = voucher.pinnedDomainCert;
  const step = (progress: ProgressType, take: () => Verdict): Verdict => {
    try {
      return take();
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      return { kind: 'refused', why: thrown, progress: [progress], anchors: [pinned] };
    }
  };
  return step('parsing-error', () => {
    const information = readInformation(content, format);
    if ('ietf-sztp-conveyed-info:redirect-information' in information) {
      return { kind: 'redirect', ...targetsOf(information, true) };
    }
    const unmet = unmetBy(information['ietf-sztp-conveyed-info:onboarding-information'], os);
    if (unmet !== undefined) return { kind: 'refused', ...unmet, anchors: [pinned] };
    return step('config-error', () => ({
      kind: 'owner',
      owner: configurationOf(Owner, information, pinned),
      voucher,
    }));
  });
}

/**
 * The same of a medium (RFC 8572 5.3 on signed data): nobody can be asked for a fresh voucher, so a nonceless one with
 * an expiry is wanted, and a redirect would lead nowhere. Judged at the clock's time where that is sane, so that an
 * old medium is refused; else at the floor, and no earlier than the voucher was made. What it was made at is no witness of what
 * time it is now, and lifts the floor only once the owner's server stood by it (states.ts).
 */
export async function judgeMedium(
  artefacts: {
    readonly conveyed: Uint8Array;
    readonly ownerCertificate: Uint8Array;
    readonly voucher: Uint8Array;
  },
  context: {
    readonly factory: JudgingIdentity;
    readonly clock: TrustedClock;
    readonly os: RunningOs;
  },
): Promise<{
  readonly owner: Owner;
  readonly network: BootstrapNetwork | undefined;
  readonly voucher: Voucher;
}> {
  const { factory, clock } = context;
  const floorMs = clock.floorMs();
  const nowMs = clock.nowMs() - floorMs <= SANE_AHEAD_MS ? clock.nowMs() : floorMs;
  const voucher = await verifyVoucher(await opened(artefacts.voucher, factory), {
    anchors: factory.voucherAnchors,
    floorMs: nowMs,
    expect: { serialNumber: factory.serial, idevidIssuer: factory.idevid.authorityKeyId, nonce: undefined },
  });
  const { content, format } = await verifyConveyed(await opened(artefacts.conveyed, factory), {
    ownerCertificate: await opened(artefacts.ownerCertificate, factory),
    pinnedDomainCert: voucher.pinnedDomainCert,
    atMs: Math.max(nowMs, voucher.createdOnMs),
  });
  const information = readInformation(content, format);
  if ('ietf-sztp-conveyed-info:redirect-information' in information) {
    throw new BranchboxError('pki/mismatch', {
      message: 'The medium holds a redirect, not onboarding information',
    });
  }
  mustBeMet(information, context.os);
  const { network, ...owner } = configurationOf(MediumConfiguration, information, voucher.pinnedDomainCert);
  return { owner, network, voucher };
}

/**
 * The same of who is to own the box next: the order of the present owner pins its domain CA, as a voucher would. Throws
 * pki/* where the next owner did not sign it, and of a redirect: it would lead to somebody whom nobody named.
 */
export async function judgeNextOwner(
  artefacts: { readonly conveyed: Uint8Array; readonly ownerCertificate: Uint8Array },
  pinned: Certificate,
  atMs: number,
  os: RunningOs,
): Promise<Owner> {
  const { content, format } = await verifyConveyed(artefacts.conveyed, {
    ownerCertificate: artefacts.ownerCertificate,
    pinnedDomainCert: pinned,
    atMs,
  });
  const information = readInformation(content, format);
  if ('ietf-sztp-conveyed-info:redirect-information' in information) {
    throw new BranchboxError('pki/mismatch', {
      message: 'The order holds a redirect, not onboarding information',
    });
  }
  mustBeMet(information, os);
  return configurationOf(Owner, information, pinned, 'order');
}

function mustBeMet(information: OnboardingInformation, os: RunningOs): void {
  const unmet = unmetBy(information['ietf-sztp-conveyed-info:onboarding-information'], os);
  if (unmet !== undefined) throw unmet.why;
}
