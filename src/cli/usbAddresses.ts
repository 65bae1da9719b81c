/**
 * Owns what `branchbox fleet usb` makes of --address, --gateway and --dns: one static address a family, each with the
 * gateway and the DNS servers of its own family. Does not own their forms (model/addressing). Pure.
 */
import { BranchboxError } from '../model/errors.ts';
import { FAMILIES, type Family, familyOf } from '../model/underlay.ts';

export interface AddressWords {
  /** With prefix length. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  readonly dns: readonly string[];
}

interface Static {
  readonly kind: 'static';
  readonly address: string;
  readonly gateway: string | undefined;
  readonly dns: readonly string[];
}

/** By family; a family without an address is absent, and gets its own as on any line. Throws cli/usage. */
export function planStaticAddresses({ addresses, gateways, dns }: AddressWords): ReadonlyMap<Family, Static> {
  const planned = new Map<Family, Static>();
  for (const family of FAMILIES) {
    const own = (words: readonly string[]): readonly string[] =>
      words.filter((word) => familyOf(word) === family);
    const [address, ...more] = own(addresses);
    const [gateway, ...others] = own(gateways);
    if (more.length > 0 || others.length > 0) {
      throw usage(`a line has one address and one gateway of IPv${family}`, 'leave the others out');
    }
    if (address !== undefined) {
      planned.set(family, { kind: 'static', address, gateway, dns: own(dns) });
    } else if (gateway !== undefined || own(dns).length > 0) {
      throw usage(
        '--gateway and --dns belong to a static address of their own family',
        `add --address with one of IPv${family}, or leave them out`,
      );
    }
  }
  return planned;
}

const usage = (message: string, mend: string): BranchboxError =>
  new BranchboxError('cli/usage', { message, mend });
