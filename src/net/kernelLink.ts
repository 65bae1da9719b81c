/**
 * Owns the shape of a link as `ip -j -d address` prints it, of which only what is looked at is kept.
 * Checked by hand: a box of 1,000 segments has 2,000 links of 50 fields, and a schema took as long as `ip` itself.
 */
import { BranchboxError, type Problem } from '../model/errors.ts';

export interface KernelLink {
  readonly ifname: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly address: string | undefined;
  readonly master: string | undefined;
  /** Of a VLAN the link that it is on. */
  readonly parent: string | undefined;
  readonly ifalias: string | undefined;
  readonly group: string | undefined;
  /** `bridge`, `vxlan`, `wireguard`, `tun`, `veth`; none of a physical port. */
  readonly kind: string | undefined;
  /** What the kind tells of itself; nobody has checked the values. */
  readonly data: Fields;
  /** What a bridge tells of this port. */
  readonly port: Fields;
  readonly addresses: readonly KernelAddress[];
}
type Fields = Readonly<Record<string, unknown>>;

export interface KernelAddress {
  /** With prefix length. */
  readonly address: string;
  /** Printed as `0x62`: a name for it in rt_addrprotos would hide it, which -N prevents. */
  readonly protocol: number | undefined;
}

const NONE: Fields = {};
const NO_ADDRESSES: readonly KernelAddress[] = [];
const MAX_PROBLEMS = 10;

/** What of it does not fit is named by its path. Pure. */
export function kernelLinks(value: unknown, what: string): readonly KernelLink[] {
  const problems: Problem[] = [];
  const links: KernelLink[] = [];
  if (!Array.isArray(value)) problems.push({ path: '$', message: 'no list' });
  for (const [at, found] of (Array.isArray(value) ? value : []).entries()) {
    const unfit = (path: string, message: string): void => {
      if (problems.length < MAX_PROBLEMS) problems.push({ path: `$[${at}]${path}`, message });
    };
    const link = kernelLink(found, unfit);
    if (link !== undefined) links.push(link);
  }
  if (problems.length === 0) return links;
  throw new BranchboxError('net/kernel', { message: `${what} printed what is not understood`, problems });
}

type Unfit = (path: string, message: string) => void;

function kernelLink(found: unknown, unfit: Unfit): KernelLink | undefined {
  if (!isFields(found)) {
    unfit('', 'no object');
    return undefined;
  }
  const { ifname, mtu, flags } = found;
  if (typeof ifname !== 'string') unfit('.ifname', 'no text');
  else if (typeof mtu !== 'number') unfit('.mtu', 'no number');
  else if (!isTexts(flags)) unfit('.flags', 'no list of texts');
  else {
    const info = fieldsOf(found, 'linkinfo', '', unfit);
    return {
      ifname,
      mtu,
      flags,
      address: textOf(found, 'address', '', unfit),
      master: textOf(found, 'master', '', unfit),
      parent: textOf(found, 'link', '', unfit),
      ifalias: textOf(found, 'ifalias', '', unfit),
      group: textOf(found, 'group', '', unfit),
      kind: textOf(info, 'info_kind', '.linkinfo', unfit),
      data: fieldsOf(info, 'info_data', '.linkinfo', unfit),
      port: fieldsOf(info, 'info_slave_data', '.linkinfo', unfit),
      addresses: addressesOf(found['addr_info'], unfit),
    };
  }
  return undefined;
}

function addressesOf(value: unknown, unfit: Unfit): readonly KernelAddress[] {
  if (value === undefined) return NO_ADDRESSES;
  if (!Array.isArray(value)) {
    unfit('.addr_info', 'no list');
    return NO_ADDRESSES;
  }
  return value.flatMap((found: unknown) => {
    if (isFields(found)) {
      const { local, prefixlen, protocol } = found;
      // A peer's end has none of its own: it is nothing of ours.
      if (typeof local === 'string' && typeof prefixlen === 'number') {
        return [
          {
            address: `${local}/${prefixlen}`,
            protocol: protocol === undefined ? undefined : Number(protocol),
          },
        ];
      }
      if (local === undefined) return [];
    }
    unfit('.addr_info', 'no address');
    return [];
  });
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

function textOf(from: Fields, key: string, path: string, unfit: Unfit): string | undefined {
  const value = from[key];
  if (value === undefined || typeof value === 'string') return value;
  unfit(`${path}.${key}`, 'no text');
  return undefined;
}

function fieldsOf(from: Fields, key: string, path: string, unfit: Unfit): Fields {
  const value = from[key];
  if (value === undefined) return NONE;
  if (isFields(value)) return value;
  unfit(`${path}.${key}`, 'no object');
  return NONE;
}
