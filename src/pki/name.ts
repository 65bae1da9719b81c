/**
 * Owns distinguished names and subject alternative names: building them and reading the parts we use.
 * Does not own comparing names for chains (they are compared as encoded, in chain.ts).
 */
import { isIP, isIPv4 } from 'node:net';
import {
  type Der,
  type DerNode,
  malformed,
  oid,
  printable,
  sequence,
  setOf,
  tagged,
  taggedPrimitive,
  utf8,
} from './der.ts';
import { childrenOf, contextPrimitive, contextTag, readOid, readText, TAG } from './derRead.ts';
import { OID } from './oids.ts';

export interface CertificateName {
  readonly commonName: string | undefined;
  /** Attribute 2.5.4.5, not the certificate's own number. */
  readonly serialNumber: string | undefined;
}

/** Serial number first, common name last: from the general to the particular, as openssl shows it. */
export function encodeName(name: Partial<CertificateName>): Der {
  const parts: Der[] = [];
  if (name.serialNumber !== undefined) {
    // X.520: serialNumber is a PrintableString. An underscore, which some makers have, is not in its alphabet, and their
    // boxes name themselves in the type of string in which they were named.
    if (!/^[A-Za-z0-9 '()+,./:=?_-]{1,64}$/.test(name.serialNumber)) {
      throw malformed(`Serial number "${name.serialNumber}" does not fit a PrintableString of 64`);
    }
    const text = name.serialNumber.includes('_') ? utf8(name.serialNumber) : printable(name.serialNumber);
    parts.push(setOf(sequence(oid(OID.serialNumber), text)));
  }
  if (name.commonName !== undefined) {
    if (name.commonName.length === 0 || name.commonName.length > 64) {
      throw malformed('A common name has 1 to 64 characters (RFC 5280 A.1 ub-common-name)');
    }
    parts.push(setOf(sequence(oid(OID.commonName), utf8(name.commonName))));
  }
  return sequence(...parts);
}

export function readName(node: DerNode | undefined, what: string): CertificateName {
  let commonName: string | undefined;
  let serialNumber: string | undefined;
  for (const rdn of childrenOf(node, TAG.sequence, what)) {
    for (const attribute of childrenOf(rdn, TAG.set, what)) {
      const [type, value] = childrenOf(attribute, TAG.sequence, what);
      const key = readOid(type, what);
      // The last common name is the most particular one; two serial numbers are one too many.
      if (key === OID.commonName) commonName = readText(value, `${what} common name`);
      if (key === OID.serialNumber) {
        if (serialNumber !== undefined) throw malformed(`${what} has two serial numbers`);
        serialNumber = readText(value, `${what} serial number`);
      }
    }
  }
  return { commonName, serialNumber };
}

export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

export function encodeAlternativeNames(names: AlternativeNames): Der {
  const dns = names.dnsNames.map((name) => {
    if (!/^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(name)) {
      throw malformed(`"${name}" is no DNS name`);
    }
    return taggedPrimitive(2, Buffer.from(name, 'latin1'));
  });
  const addresses = names.ipAddresses.map((address) => taggedPrimitive(7, addressBytes(address)));
  return sequence(...dns, ...addresses);
}

export function encodeHardwareModule(module: { readonly type: string; readonly serial: Der }): Der {
  // OtherName with HardwareModuleName (RFC 4108 5).
  return sequence(
    tagged(0, oid(OID.hardwareModuleName), tagged(0, sequence(oid(module.type), module.serial))),
  );
}

export function readAlternativeNames(node: DerNode): AlternativeNames {
  const dnsNames: string[] = [];
  const ipAddresses: string[] = [];
  for (const name of childrenOf(node, TAG.sequence, 'Subject alternative name')) {
    if (name.tag === contextPrimitive(2)) {
      dnsNames.push(readText({ ...name, tag: TAG.ia5 }, 'Subject alternative name'));
    }
    if (name.tag === contextPrimitive(7)) ipAddresses.push(addressText(name.content));
  }
  return { dnsNames, ipAddresses };
}

/**
 * hwSerialNum of the first HardwareModuleName among alternative names. Optional beside a serial number in the subject, so one
 * that is not of that form is none.
 */
export function readHardwareSerial(node: DerNode): Uint8Array | undefined {
  for (const { tag, children } of node.children) {
    const [type, value] = children;
    const isModule = tag === contextTag(0) && type?.tag === TAG.oid;
    if (!isModule || readOid(type, 'Other name') !== OID.hardwareModuleName) continue;
    const serial = value?.tag === contextTag(0) ? value.children[0]?.children[1] : undefined;
    return serial?.tag === TAG.octets ? serial.content : undefined;
  }
  return undefined;
}

function addressBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split('.').map(Number));
  if (isIP(address) !== 6 || address.includes('%')) throw malformed(`"${address}" is no IP address`);
  // The URL parser writes any IPv6 form in the canonical one, without embedded IPv4.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const middle = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return Buffer.from([...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw malformed(`An IP address has 4 or 16 bytes, not ${bytes.length}`);
  const groups = Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? [];
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
