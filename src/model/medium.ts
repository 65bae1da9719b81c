/**
 * Owns what controller and box agree on about a bootstrap medium (RFC 8572 section 3 and 4.1: removable storage): names
 * on it, caps, the network that its signed part describes.
 * Does not own signing it (controller/media), reading it (bootstrap/medium, firmware/medium-read) nor what the agent
 * makes of the network (wan/factory).
 */
import { z } from 'zod';
import { DnsName, IpAddress, Port } from './addresses.ts';
import {
  checkStatic4,
  checkStatic6,
  DhcpAddressing,
  ModemAddressing,
  PppoeAddressing,
  StaticAddressing,
  StaticAddressing6,
} from './addressing.ts';
import { Owner } from './bootstrap.ts';
import type { ErrorCode } from './errors.ts';
import { PortLabel, Serial, VlanId } from './ids.ts';

/** On the medium, one directory a box below it: one stick can serve a whole site. */
export const MEDIUM_DIRECTORY = 'branchbox/bootstrap';
/** The three artefacts of RFC 8572 section 3, as on the wire but for the base64. */
export const MEDIUM_FILES = {
  conveyed: 'conveyed-information.cms',
  ownerCertificate: 'owner-certificate.cms',
  voucher: 'ownership-voucher.vcj',
} as const;
/** Each file, DER; firmware/medium-read holds the same number. Real ones have 2 to 6 KB. */
export const MEDIUM_FILE_MAX_BYTES = 128 * 1024;
/** In the place of the three files: why firmware/medium-read copied none of them, in one of these words. */
export const MEDIUM_REFUSAL_FILE = 'why';
export const MEDIUM_REFUSALS = {
  unreadable: {
    code: 'system/file',
    message: 'could not be read to its end: it was pulled out too early, or is damaged',
    mend: 'plug it in again, and leave it in until it is taken or refused; where that does not help, take another stick',
  },
  link: {
    code: 'system/file',
    message: 'has a link where a directory or a file of this box must be, and links are not followed',
    mend: 'copy onto it what branchbox fleet usb made, as files',
  },
  'no-file': {
    code: 'system/file',
    message: 'has something in the place of a file of this box that is no file',
    mend: 'copy onto it what branchbox fleet usb made, as files',
  },
  'other-box': {
    code: 'pki/mismatch',
    message: 'has nothing for the serial of this box, but is made for others',
    mend: 'take the stick that was made for this serial: branchbox fleet usb SERIAL',
  },
} as const satisfies Readonly<Record<string, { code: ErrorCode; message: string; mend: string }>>;
/** FAT knows no other characters for sure, and a serial must not be a path: it has no others. */
export const MediumSerial = Serial;

/** What PPPoE and proxies are told: no control characters, which would be lines of their own in a file. */
const Word = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^\p{C}]+$/u, 'printable characters');

/** PAP's lengths are one octet (RFC 1334 2.2.1), and pppd cuts what is longer. */
const PPPOE_WORD_MAX_BYTES = 255;
const PppoeWord = Word.refine(
  (text) => encodeURIComponent(text).replaceAll(/%../g, '.').length <= PPPOE_WORD_MAX_BYTES,
  `at most ${PPPOE_WORD_MAX_BYTES} bytes`,
);

/** RFC 9110 9.3.6. */
export const HttpProxy = z.strictObject({
  host: z.union([IpAddress, DnsName]),
  port: Port,
  /** HTTP Basic (RFC 7617): no colon in the name. */
  user: Word.refine((text) => !text.includes(':'), 'no colon').optional(),
  password: Word.optional(),
});
export type HttpProxy = z.output<typeof HttpProxy>;

const Static4 = StaticAddressing.superRefine((own, context) => {
  checkStatic4(own, [], (path, message) => context.addIssue({ code: 'custom', path, message }));
});
const Static6 = StaticAddressing6.superRefine((own, context) => {
  checkStatic6(own, [], (path, message) => context.addIssue({ code: 'custom', path, message }));
});

/**
 * How one WAN port gets out where DHCP does not tell. Signed by the owner within the conveyed information; until a
 * desired state describes the uplinks, the agent holds the box to it. The proxy stays for the box's life.
 */
export const BootstrapNetwork = z
  .strictObject({
    schema: z.literal(1),
    /** Absent: the first WAN port of the hardware model; for a modem the first one. */
    port: PortLabel.optional(),
    vlan: VlanId.optional(),
    addressing: z.discriminatedUnion('kind', [
      DhcpAddressing,
      Static4,
      PppoeAddressing.extend({ user: PppoeWord, password: PppoeWord }),
      ModemAddressing,
    ]),
    /** IPv6; absent: what routers and DHCPv6 say. */
    addressing6: Static6.optional(),
    proxy: HttpProxy.optional(),
    /** `https://host[:port]`, asked before what DHCP names; as little believed as that. */
    bootstrapServers: z.array(z.string().max(1024)).max(16).default([]),
  })
  .refine(({ addressing, addressing6 }) => addressing.kind !== 'pppoe' || addressing6 === undefined, {
    path: ['addressing6'],
    message: 'a PPPoE session has no IPv6 here',
  })
  .refine(
    ({ addressing, addressing6, vlan }) =>
      addressing.kind !== 'modem' || (addressing6 === undefined && vlan === undefined),
    { path: ['addressing'], message: 'a modem has neither a VLAN nor IPv6 here' },
  );
export type BootstrapNetwork = z.output<typeof BootstrapNetwork>;

/** `configuration` of the onboarding information on a medium. */
export const MediumConfiguration = Owner.extend({ network: BootstrapNetwork.optional() });
export type MediumConfiguration = z.output<typeof MediumConfiguration>;

/** `POST /api/v1/inventory/{serial}/medium`. */
export const MEDIUM_VALID_S = { min: 3_600, max: 365 * 86_400, usual: 30 * 86_400 } as const;
export const MediumWish = z.strictObject({
  network: BootstrapNetwork.optional(),
  validS: z.int().min(MEDIUM_VALID_S.min).max(MEDIUM_VALID_S.max).default(MEDIUM_VALID_S.usual),
});
export const MadeMedium = z.strictObject({
  serial: MediumSerial,
  gatewayId: z.string(),
  /** Until then the box takes it. */
  expiresOnMs: z.number(),
  files: z.array(z.strictObject({ path: z.string().max(256), content: z.base64() })).max(8),
});
export type MadeMedium = z.output<typeof MadeMedium>;
