/**
 * Owns the messages between a controller and the manufacturer. The answer to a voucher request is the voucher
 * itself (CMS, application/voucher-cms+json).
 */
import { z } from 'zod';
import { DateAndTime } from '../../model/dateAndTime.ts';
import { NONCE_BYTES } from '../../pki/voucher.ts';
import { Serial } from '../../model/ids.ts';

const Nonce = z.base64().refine((text) => {
  const { length } = Buffer.from(text, 'base64');
  return length >= NONCE_BYTES.min && length <= NONCE_BYTES.max;
}, `a nonce of ${NONCE_BYTES.min} to ${NONCE_BYTES.max} bytes in base64`);

export const VoucherRequest = z.strictObject({
  serialNumber: Serial,
  /** Key identifier of the IDevID's issuer, base64; refused where it is not ours. */
  idevidIssuer: z.base64().max(128).optional(),
  /** As the box sent it. Without one, `expiresOn` must stand. */
  nonce: Nonce.optional(),
  expiresOn: DateAndTime.optional(),
  /** Certificate of the owner's domain CA, DER in base64. */
  pinnedDomainCert: z.base64().max(16 * 1024),
  /** The one that can be had: the manufacturer says `logged` and knows nothing of sales. */
  assertion: z.literal('logged').optional(),
});

export const ReleaseRequest = z.strictObject({ serialNumber: Serial });
