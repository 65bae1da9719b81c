/**
 * Owns which serial number a factory identity (IDevID, IEEE 802.1AR) names, and whether it is one that every part of the
 * product can use: in certificates, paths, file names, addresses of the REST API. Does not own who believes the certificate.
 */
import { Serial } from '../model/ids.ts';
import type { Certificate } from './certificate.ts';

export type DeviceSerial = { readonly serial: string } | { readonly problem: string };

/** More of a serial that is none of ours is not repeated. */
const MAX_SHOWN = 80;

/**
 * The subject's, in any type of string and as it is spelled there; without one that of the hardware module (RFC 4108 5), as
 * RFC 8995 2.3.1 has the order. Pure.
 */
export function deviceSerial({
  subject,
  hardwareSerial,
}: Pick<Certificate, 'subject' | 'hardwareSerial'>): DeviceSerial {
  const named = subject.serialNumber ?? textOf(hardwareSerial);
  if (named === undefined) return { problem: 'the factory identity names no serial number' };
  const serial = Serial.safeParse(named);
  if (serial.success) return { serial: serial.data };
  const shown = JSON.stringify(named.slice(0, MAX_SHOWN));
  return {
    problem: `the serial number ${shown} of the factory identity cannot be used: one has 1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit`,
  };
}

/** Bytes that are no text are shown as such by whoever refuses them. */
const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
