/**
 * Owns the two ends of a move to another controller: as the next owner, the invitation of a box that has its place here;
 * as the present one, reading such an invitation. Does not own signing (the signer), how an order travels (orders.ts) nor
 * what the box makes of it (bootstrap/moves).
 */
import { decodeJson } from '../model/decode.ts';
import { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Invitation } from '../model/move.ts';
import { OnboardingInformation } from '../model/sztp.ts';
import { fromBase64, toBase64 } from '../pki/base64.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';
import { verifyConveyed } from '../pki/conveyed.ts';
import { type PlacedBoxes, requirePlaced } from './placedBox.ts';
import type { SignerClient } from './signer/client.ts';
import { onboardingOf } from './sztp/onboarding.ts';

export interface Invitations {
  /** Throws controller/not-found or controller/conflict where the box could not enrol by itself. */
  make(serial: string): Promise<{ readonly invitation: Invitation; readonly domainCaSha256: string }>;
}

export function createInvitations(
  options: PlacedBoxes & {
    readonly signer: Pick<SignerClient, 'conveyed'>;
    readonly domain: Certificate;
    readonly ownerOf: (gatewayId: string) => Owner;
  },
): Invitations {
  const { signer, domain, ownerOf } = options;
  return {
    async make(serial) {
      const { entry, gatewayId } = await requirePlaced(options, serial);
      // A box in a move waits for nobody: it would be back before an installer came.
      if (entry.state === 'revoked' || !entry.approved) {
        throw new BranchboxError('controller/conflict', {
          message: `${serial} is ${entry.state === 'revoked' ? 'revoked' : 'not approved'}, so it could not enrol here`,
          mend: `first: branchbox fleet ${entry.state === 'revoked' ? 'release' : 'approve'} ${serial}`,
        });
      }
      const signed = await signer.conveyed(onboardingOf(ownerOf(gatewayId)));
      const invitation: Invitation = {
        schema: 1,
        serial,
        gatewayId,
        domainAnchorPem: domain.pem,
        conveyedInformation: toBase64(signed.conveyed),
        ownerCertificate: toBase64(signed.ownerCertificate),
      };
      return { invitation, domainCaSha256: domain.fingerprintSha256 };
    },
  };
}

export interface ReadInvitation {
  /** As the next owner signed it. */
  readonly owner: Owner;
  /** What a person compares with the other controller. */
  readonly domainCaSha256: string;
}

/** As the box will judge it: what it would refuse is not ordered. Throws pki/* or model/invalid. */
export async function readInvitation(invitation: Invitation, atMs: number): Promise<ReadInvitation> {
  const pinned = parseCertificate(invitation.domainAnchorPem);
  const { content } = await verifyConveyed(fromBase64(invitation.conveyedInformation), {
    ownerCertificate: fromBase64(invitation.ownerCertificate),
    pinnedDomainCert: pinned,
    atMs,
  });
  const information = decodeJson(OnboardingInformation, textOf(content), 'The invitation');
  const {
    configuration,
    'configuration-handling': handling,
    ...more
  } = information['ietf-sztp-conveyed-info:onboarding-information'];
  if (configuration === undefined || handling === undefined || Object.keys(more).length > 0) {
    throw new BranchboxError('pki/mismatch', {
      message: 'The invitation is more or less than a configuration, which is all that a box takes',
      mend: 'have it made anew: branchbox fleet invite',
    });
  }
  const owner = decodeJson(Owner, textOf(fromBase64(configuration)), 'The owner record of the invitation');
  const named = parseCertificate(owner.domainAnchorPem).fingerprintSha256;
  if (named !== pinned.fingerprintSha256 || owner.gatewayId !== invitation.gatewayId) {
    throw new BranchboxError('pki/mismatch', {
      message: 'The invitation says other things than what its owner signed',
      mend: 'have it made anew: branchbox fleet invite',
    });
  }
  return { owner, domainCaSha256: pinned.fingerprintSha256 };
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
