/**
 * Owns the body of an enrolment: in which forms a certificate request is taken, and whether it is of the connection that it
 * came over. Does not own who may send one (enrolment.ts).
 */
import type { TLSSocket } from 'node:tls';
import { BranchboxError } from '../../model/errors.ts';
import { type CertificateRequest, parseRequest, requestOfPem } from '../../pki/request.ts';
import { channelBinding } from '../../system/channelBinding.ts';
import type { Answer } from '../exchange.ts';
import { plain } from './answers.ts';

export interface SentRequest {
  readonly der: Uint8Array;
  readonly challengePassword: string | undefined;
}

/** A SEQUENCE. As the character `0` of base64 it begins a byte of 0xD0 or more, which is no request. */
const DER_BEGINS = 0x30;

/**
 * RFC 8951 3.1: white space anywhere in the base64 is passed over, and Content-Transfer-Encoding is ignored. Files as
 * openssl writes them (PEM, DER) are no EST, and can be nothing else: they are taken too. Pure.
 */
export function certificateRequestOf(body: Buffer): SentRequest | Answer {
  try {
    const der = derOf(body);
    if (der === undefined) return plain(400, 'the body is not base64 of a certificate request');
    const { challengePassword }: CertificateRequest = parseRequest(der);
    return { der, challengePassword };
  } catch (thrown) {
    return plain(400, thrown instanceof BranchboxError ? thrown.message : 'the request cannot be decoded');
  }
}

function derOf(body: Buffer): Uint8Array | undefined {
  if (body[0] === DER_BEGINS) return Uint8Array.from(body);
  const text = body.toString('latin1');
  if (text.includes('-----BEGIN')) return requestOfPem(text);
  const base64 = text.replace(/[\t\n\r ]+/g, '');
  if (base64.length === 0 || base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    return undefined;
  }
  return Uint8Array.from(Buffer.from(base64, 'base64'));
}

/**
 * RFC 7030 3.5: whoever names a TLS session in a request shows that key and client certificate are in one hand. One that
 * names another session came from elsewhere. None needs to name any.
 */
export function otherSession({ challengePassword }: SentRequest, socket: TLSSocket): Answer | undefined {
  if (challengePassword === undefined) return undefined;
  const binding = channelBinding(socket, 'server');
  if (binding !== undefined && Buffer.from(binding).toString('base64') === challengePassword.trim())
    return undefined;
  return plain(
    400,
    'the challengePassword of the request is not this TLS session: base64 of tls-unique, or of tls-exporter under TLS 1.3',
  );
}
