/**
 * Owns the words of letting in a box that nobody named: rules, what a box claims of itself, and the claim code of a key.
 * Does not own what is done with a match (controller/pending).
 *
 * Proved is the serial alone: it stands in the IDevID, under the manufacturer's signature. MAC addresses, UUID and host
 * name are what the box says, and an address is where it happens to send from: whoever has any box of that manufacturer
 * can say and do the same. So those may put a box in the list that a person looks at, and never let it in.
 */
import { z } from 'zod';
import { DnsName, MacAddress } from './addresses.ts';
import { crossChecked } from './crossCheck.ts';
import { GatewayId, SiteName } from './ids.ts';
import { ACTIVATION_ALPHABET, plainCode } from './installer.ts';
import { prefixHolds } from './prefixes.ts';
import { ifReadable } from './readable.ts';

/** Shell-like: `*` is any run of characters, `?` any one. */
const Pattern = z.string().min(1).max(128);
/** `198.51.100.0/24`, `2001:db8::/32`. */
const Prefix = z.union([z.cidrv4(), z.cidrv6()]);
/** So that `approve` on `*` or `S*` is no accident: this many characters of the serial are told. */
const LEAST_SERIAL_CHARACTERS = 4;

/** Which place of the fleet: the first in the file's order without a box. */
const Place = z.strictObject({
  site: SiteName.optional(),
  role: z.enum(['hub', 'branch']).default('branch'),
});

const RuleForm = z.strictObject({
  name: GatewayId,
  /** All that are named must fit. */
  match: z.strictObject({
    /** Of the certificate. */
    serial: Pattern.optional(),
    /** Claimed; one of the box's ports fits. */
    macAddress: Pattern.optional(),
    /** Claimed: of the SMBIOS. */
    uuid: Pattern.optional(),
    /** Claimed. */
    hostname: Pattern.optional(),
    /** Where it was seen to send from. */
    address: Prefix.optional(),
  }),
  /** `approve`: let in without a person. */
  action: z.enum(['pending', 'approve']).default('pending'),
  /** Absent: whoever approves names the gateway. */
  place: Place.optional(),
});
export type AssignmentRule = z.output<typeof RuleForm>;

export const AssignmentRule = crossChecked(RuleForm, (rule, report) => {
  ifReadable(() => {
    if (Object.values(rule.match).every((pattern) => pattern === undefined))
      report(['match'], 'names nothing to match');
  });
  if (rule.action !== 'approve') return;
  ifReadable(() => {
    const told = (rule.match.serial ?? '').replaceAll(/[*?]/g, '').length;
    if (told < LEAST_SERIAL_CHARACTERS) {
      report(
        ['match', 'serial'],
        `a rule that approves tells at least ${LEAST_SERIAL_CHARACTERS} characters of the serial: it is all that a box can prove`,
      );
    }
  });
  if (rule.place === undefined) report(['place'], 'a rule that approves says which place a box gets');
});

/** What a box says of itself; a part of its SZTP input where the server asks for it, and never proof. */
export const BoxClaims = z.strictObject({
  'mac-address': z.array(MacAddress).max(32).default([]),
  /** As SMBIOS has it, which is not always one of RFC 9562. */
  uuid: z.guid().optional(),
  hostname: DnsName.optional(),
});
export type BoxClaims = z.output<typeof BoxClaims>;

/** A box as the controller saw it. */
export interface Sighting {
  readonly serial: string;
  /** Undefined where the connection does not tell. */
  readonly address: string | undefined;
  readonly claims: BoxClaims | undefined;
}

/** The first rule, in the file's order, that fits. Pure. */
export function matchRule(rules: readonly AssignmentRule[], sighting: Sighting): AssignmentRule | undefined {
  const { serial, address, claims } = sighting;
  const fits = (pattern: string | undefined, values: readonly (string | undefined)[]): boolean =>
    pattern === undefined ||
    values.some((value) => value !== undefined && globFits(pattern.toLowerCase(), value.toLowerCase()));
  return rules.find(
    ({ match }) =>
      // As the certificate spells it: two serials that differ in case are two boxes.
      (match.serial === undefined || globFits(match.serial, serial)) &&
      fits(match.macAddress, claims?.['mac-address'] ?? []) &&
      fits(match.uuid, [claims?.uuid]) &&
      fits(match.hostname, [claims?.hostname]) &&
      (match.address === undefined || (address !== undefined && prefixHolds(match.address, address))),
  );
}

/** Whether claims could make a rule fit that does not fit without them. Pure. */
export function wantsClaims(rules: readonly AssignmentRule[]): boolean {
  return rules.some(
    ({ match }) => match.macAddress !== undefined || match.uuid !== undefined || match.hostname !== undefined,
  );
}

/** No regular expression: the text is a stranger's, and this is linear in it for each star. Pure. */
export function globFits(pattern: string, text: string): boolean {
  let at = 0;
  let textAt = 0;
  let star = -1;
  let resume = 0;
  while (textAt < text.length) {
    const wanted = pattern[at];
    if (wanted === '*') {
      star = at;
      resume = textAt;
      at += 1;
    } else if (wanted === '?' || wanted === text[textAt]) {
      at += 1;
      textAt += 1;
    } else if (star >= 0) {
      at = star + 1;
      resume += 1;
      textAt = resume;
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}

const CLAIM_CODE_CHARACTERS = 12;
const GROUP = `[${ACTIVATION_ALPHABET}]{4}`;
/** 60 bits of the SHA-256 of an IDevID's public key, in groups of four: `ABCD-EFGH-JKLM`. */
export const ClaimCode = z
  .string()
  .regex(new RegExp(`^${GROUP}-${GROUP}-${GROUP}$`), 'three groups of four, as on the box: ABCD-EFGH-JKLM');

const inGroups = (plain: string): string => plain.replaceAll(/(.{4})(?=.)/g, '$1-');
/** As it was typed, as it is kept. Pure. */
export const claimCodeTyped = (typed: string): string => inGroups(plainCode(typed));

/** Of the hex SHA-256 of a SubjectPublicKeyInfo. Pure. */
export function claimCodeOf(spkiSha256: string): string {
  let rest = BigInt(`0x${spkiSha256.slice(0, 15)}`);
  let plain = '';
  for (let i = 0; i < CLAIM_CODE_CHARACTERS; i += 1) {
    plain = (ACTIVATION_ALPHABET[Number(rest % 32n)] ?? '') + plain;
    rest /= 32n;
  }
  return inGroups(plain);
}
