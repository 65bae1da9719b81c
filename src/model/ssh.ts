/**
 * Owns how SSH to a box is opened: whose public keys, from which networks. Both must be said, and nothing else can be.
 * Does not own what a session may do (firmware/sshd_config), which packets come in (policy), nor who makes a host key
 * (firmware/ssh-host-key). How a key reads: sshKey.ts.
 */
import { z } from 'zod';
import { Ipv4Network, Ipv6Interface } from './addresses.ts';
import { crossChecked } from './crossCheck.ts';
import { canonicalCidr, ipv6NetworkOf, prefixHolds } from './prefixes.ts';
import { mapReadable } from './readable.ts';
import { MAX_SSH_KEY_LENGTH, sshKeyProblem } from './sshKey.ts';

/** The only account that SSH lets in, made by the image (finish-tree.sh) and the Debian package: it may look, no more. */
export const SSH_USER = 'branchbox-look';
export const SSH_UNIT = 'branchbox-ssh.service';

const SshKey = z
  .string()
  .max(MAX_SSH_KEY_LENGTH)
  .superRefine((line, context) => {
    const problem = sshKeyProblem(line);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  });

/** Host bits are zero. */
const isNetwork = (cidr: string): boolean =>
  Ipv4Network.safeParse(cidr).success ||
  (Ipv6Interface.safeParse(cidr).success && ipv6NetworkOf(cidr) === canonicalCidr(cidr));
/** RFC 4291 2.5.5: no packet comes from there, and nft shows what is in a set in words that are not ours, `::ffff:203.0.113.0`. */
const isIpv4InIpv6 = (cidr: string): boolean =>
  cidr !== '::1/128' &&
  cidr !== '::/128' &&
  ['::/96', '::ffff:0:0/96'].some((range) => isWithin(range, cidr));
/** Everybody is nobody in particular: who means the whole Internet opens nothing here. */
const SshSource = z
  .string()
  .refine(isNetwork, {
    error: 'is no network of IPv4 or IPv6: its length follows, and host bits are zero',
    abort: true,
  })
  .overwrite(canonicalCidr)
  .refine((cidr) => !isIpv4InIpv6(cidr), 'is IPv4 in words of IPv6: write it as IPv4')
  .refine((cidr) => !cidr.endsWith('/0'), 'is everybody: name the networks that operators come from');

/** Absent: closed. */
const AccessForm = z.strictObject({
  /** As in an authorized_keys file, without options. */
  keys: z.array(SshKey).min(1).max(32),
  /** In no two of them may be one address. */
  from: z.array(SshSource).min(1).max(64),
});
export const SshAccess = crossChecked(AccessForm, (access, report) => {
  const blobs = mapReadable(
    () => access.keys,
    (key, i) => ({ blob: key.split(' ')[1], i }),
  );
  for (const { blob, i } of blobs) {
    const first = blobs.find((other) => other.blob === blob);
    if (first !== undefined && first.i < i) report(['keys', i], `is keys[${first.i}] once more`);
  }
  const sources = mapReadable(
    () => access.from,
    (source, i) => ({ source, i }),
  );
  for (const { source, i } of sources) {
    // nft takes no two of one address into one set.
    const other = sources.find((earlier) => earlier.i < i && overlap(earlier.source, source));
    if (other !== undefined) report(['from', i], `overlaps ${other.source}`);
  }
});
export type SshAccess = z.output<typeof SshAccess>;

const addressOf = (cidr: string): string => cidr.slice(0, cidr.indexOf('/'));
const lengthOf = (cidr: string): number => Number(cidr.slice(cidr.indexOf('/') + 1));
/** `inner` is that network or a part of it. */
const isWithin = (outer: string, inner: string): boolean =>
  lengthOf(inner) >= lengthOf(outer) && prefixHolds(outer, addressOf(inner));
const overlap = (a: string, b: string): boolean =>
  prefixHolds(a, addressOf(b)) || prefixHolds(b, addressOf(a));
