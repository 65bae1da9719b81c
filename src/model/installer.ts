/**
 * Owns what box, page, command line and controller agree on about a box that is not enrolled: the page's name, the
 * addresses of its LAN ports, what is told of ports, and the form of an activation code.
 * Does not own rendering any of it (evpn/installer, policy, web/installer) nor judging a code (controller/activation).
 */
import { z } from 'zod';
import {
  Ipv4,
  Ipv4Interface,
  Ipv6Interface,
  ipv4ToNumber,
  numberToIpv4,
  overlaps,
  splitCidr,
} from './addresses.ts';
import type { Facts } from './facts.ts';
import { InterfaceName, PortLabel } from './ids.ts';
import { type Line, uplinkIfname } from './underlay.ts';

/** Any name leads to the page there; links are made with this one: `.internal` is nobody's (ICANN, July 2024). */
export const INSTALLER_NAME = 'branchbox.internal';
export const ACTIVATION_PATH = '/activate';

/** The first that no uplink's network overlaps is taken: else the installer's phone and the provider would collide. */
export const INSTALLER_RANGES = ['172.31.254.0/24', '10.254.254.0/24', '192.168.254.0/24'] as const;
const PORT_PREFIX = 28;
const ADDRESSES_OF_A_PORT = 2 ** (32 - PORT_PREFIX);
const MAX_PORTS = 256 / ADDRESSES_OF_A_PORT;

/** A LAN port of a box that is not enrolled. */
export interface InstallerPort {
  readonly label: string;
  readonly ifname: string;
  /** The box's own, with prefix length. */
  readonly address: string;
}

/**
 * A network each, never one bridge for all: who plugs two networks in must not join them. The same order, the same
 * addresses. Pure.
 */
export function planInstallerPorts(facts: Pick<Facts, 'ports' | 'leases'>): readonly InstallerPort[] {
  const range =
    INSTALLER_RANGES.find((one) => facts.leases.every(({ address }) => !overlaps(one, address))) ??
    INSTALLER_RANGES[0];
  const base = ipv4ToNumber(splitCidr(range).address);
  return facts.ports
    .filter(({ role }) => role === 'lan')
    .slice(0, MAX_PORTS)
    .map(({ label, ifname }, index) => ({
      label,
      ifname: ifname ?? label,
      address: `${numberToIpv4(base + index * ADDRESSES_OF_A_PORT + 1)}/${PORT_PREFIX}`,
    }));
}

/** Whether an address may be one that `planInstallerPorts` gave to the box. Pure. */
export const isInstallerAddress = (address: string): boolean =>
  Ipv4.safeParse(address).success && INSTALLER_RANGES.some((range) => overlaps(range, `${address}/32`));

/** DHCP and names on one port; the instance says all that the unit must know (firmware/installer-dhcp). */
export const installerDhcpUnit = ({ ifname, address }: InstallerPort): string =>
  `branchbox-installer-dhcp@${ifname}:${splitCidr(address).address}.service`;
export const INSTALLER_PAGE_UNIT = 'branchbox-installer-page.service';

/** `GET /ports` of the agent's socket for the page: what an installer sees on the box. */
export const InstallerPorts = z.strictObject({
  ports: z
    .array(
      z.strictObject({
        label: PortLabel,
        role: z.enum(['wan', 'lan']),
        /** undefined: the machine has no such interface. */
        ifname: InterfaceName.optional(),
        carrier: z.boolean(),
        /** Of a WAN port what it was given (IPv4's where it has both), of a LAN port what the box gave itself. */
        address: z.union([Ipv4Interface, Ipv6Interface]).optional(),
      }),
    )
    .max(128),
  /** Of the last uplink test; undefined before the first. */
  uplinkTest: z
    .strictObject({ atMs: z.number(), verdict: z.enum(['pass', 'fail']), line: z.string().max(2000) })
    .optional(),
});
export type InstallerPorts = z.output<typeof InstallerPorts>;

/** Pure. */
export function installerPortsOf(
  facts: Pick<Facts, 'ports' | 'leases' | 'leases6'>,
  uplinks: readonly Line[],
): InstallerPorts {
  const lan = planInstallerPorts(facts);
  return {
    ports: facts.ports.map(({ label, role, ifname, carrier }) => {
      const known =
        role === 'wan'
          ? [...facts.leases, ...facts.leases6].find((lease) =>
              uplinks.some((line) => line.port === label && uplinkIfname(line, facts) === lease.ifname),
            )
          : lan.find((port) => port.label === label);
      return {
        label,
        role,
        carrier,
        ...(ifname === undefined ? {} : { ifname }),
        ...(known === undefined ? {} : { address: known.address }),
      };
    }),
  };
}

/**
 * Letters and digits that are not taken for one another when they are read out: no I, O, 0, 1. Four to ten of them, as
 * many as an operator asked for.
 */
export const ACTIVATION_ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
export const ActivationCode = z
  .string()
  .regex(new RegExp(`^[${ACTIVATION_ALPHABET}]{4,10}$`), 'four to ten letters and digits');
/** What the mailed link carries: 16 random bytes in base64url. */
export const ActivationLinkId = z.string().regex(/^[A-Za-z0-9_-]{22}$/, 'the end of an activation link');

/**
 * As it was typed, or copied out of a mail or a chat, which make other hyphens of hyphens, break lines where nobody sees it, and
 * have wide letters where others are written: case, spaces and hyphens are how people group what they read. Pure.
 */
export const plainCode = (typed: string): string =>
  typed
    .normalize('NFKC')
    .replaceAll(/[\s\p{Pd}\p{Cf}\u2212]+/gu, '')
    .toUpperCase();

/** `POST /activation` of the identity process's socket for the page. */
export const ActivationOffer = z.strictObject({
  code: ActivationCode,
  link: ActivationLinkId.optional(),
});
export type ActivationOffer = z.output<typeof ActivationOffer>;
