/**
 * Owns making a box's bootstrap medium: the three artefacts of RFC 8572 section 3 as files, with a nonceless voucher
 * that ends, and the network within what the owner signs.
 * Does not own signing (signer, manufacturer) nor writing to a stick (cli/fleetUsb): nothing of it is kept here.
 */
import type { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import {
  type BootstrapNetwork,
  type MadeMedium,
  MEDIUM_DIRECTORY,
  MEDIUM_FILES,
  MediumSerial,
} from '../model/medium.ts';
import { toBase64 } from '../pki/base64.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { Clock } from '../system/ports.ts';
import type { ManufacturerClient } from './manufacturer/client.ts';
import { type PlacedBoxes, requirePlaced } from './placedBox.ts';
import type { SignerClient } from './signer/client.ts';
import { onboardingOf } from './sztp/onboarding.ts';

export interface Media {
  /** Throws controller/not-found or controller/conflict where the serial has no place, or is revoked. */
  make(
    serial: string,
    wish: { readonly network?: BootstrapNetwork | undefined; readonly validS: number },
  ): Promise<MadeMedium>;
}

export function createMedia(
  options: PlacedBoxes & {
    readonly signer: Pick<SignerClient, 'conveyed'>;
    readonly manufacturer: Pick<ManufacturerClient, 'requestVoucher'>;
    readonly domain: Certificate;
    readonly ownerOf: (gatewayId: string) => Owner;
    /** `https://host:port` of our own bootstrap server, asked where the medium alone is not enough. */
    readonly bootstrapServer: string;
    readonly clock: Pick<Clock, 'nowMs'>;
  },
): Media {
  const { signer, manufacturer, clock } = options;
  return {
    async make(serial, { network, validS }) {
      if (!MediumSerial.safeParse(serial).success) {
        throw new BranchboxError('controller/conflict', {
          message: `${serial} cannot be the name of a directory on a medium`,
        });
      }
      const { entry, gatewayId } = await requirePlaced(options, serial);
      if (entry.state === 'revoked') {
        throw new BranchboxError('controller/conflict', {
          message: `${serial} is revoked: a medium would be of no use to it`,
        });
      }
      const wanted = network ?? { schema: 1, addressing: { kind: 'dhcp' }, bootstrapServers: [] };
      const bootstrapServers = [...new Set([...wanted.bootstrapServers, options.bootstrapServer])];
      const configuration = { ...options.ownerOf(gatewayId), network: { ...wanted, bootstrapServers } };
      // The manufacturer's voucher ends with what it pins, too: told is what is so.
      const expiresOnMs = Math.min(clock.nowMs() + validS * 1_000, options.domain.notAfterMs);
      const [signed, voucher] = await Promise.all([
        signer.conveyed(onboardingOf(configuration)),
        manufacturer.requestVoucher({
          serialNumber: serial,
          ...(entry.identity === undefined
            ? {}
            : { idevidIssuer: Uint8Array.from(Buffer.from(entry.identity.issuerKeyId, 'hex')) }),
          expiresOnMs,
          pinnedDomainCert: options.domain,
        }),
      ]);
      const file = (name: string, bytes: Uint8Array) => ({
        path: `${MEDIUM_DIRECTORY}/${serial}/${name}`,
        content: toBase64(bytes),
      });
      return {
        serial,
        gatewayId,
        expiresOnMs,
        files: [
          file(MEDIUM_FILES.conveyed, signed.conveyed),
          file(MEDIUM_FILES.ownerCertificate, signed.ownerCertificate),
          file(MEDIUM_FILES.voucher, voucher),
        ],
      };
    },
  };
}
