/**
 * Owns opening SSH where the desired state says so: its server, and port 22 from the networks that are named. Pure. The
 * rules always stand, over sets that are empty while it is closed. The server starts after the firewall, and the port
 * opens only once it runs: whatever else listened on port 22 of a machine (Debian's own server, which ours ends) is
 * never reached. Whoever is logged in sends no packets of his own: he must not be able to speak as the box to a hub
 * (VXLAN, BFD, BGP) or to a segment.
 * Does not own whose keys count (agent/sshKeys.ts) nor what a session may do (firmware/sshd_config).
 */
import { SSH_UNIT, type SshAccess } from '../model/ssh.ts';
import { kernelGate, nftSet, programGate, service } from '../net/itemIds.ts';
import type { NetItem } from '../net/items.ts';
import { chainIds, elements, SETS } from './pieces.ts';

const FAMILIES = [
  { set: SETS.sshSources, type: 'ipv4_addr', isOf: (cidr: string) => !cidr.includes(':') },
  { set: SETS.sshSources6, type: 'ipv6_addr', isOf: (cidr: string) => cidr.includes(':') },
] as const;

export const SSH_RULES = [
  `ip saddr @${SETS.sshSources} tcp dport 22 accept`,
  `ip6 saddr @${SETS.sshSources6} tcp dport 22 accept`,
] as const;

/**
 * Judged by who opened a socket: a session's own connection was accepted by the server, as root, and goes on. `look`: the
 * account's number; undefined where there is none, and nobody comes in.
 */
export const lookerRules = (look: number | undefined): readonly string[] =>
  look === undefined ? [] : [`meta skuid ${look} drop`];

export const renderSshSets = (): NetItem[] =>
  FAMILIES.map(({ set, type }) =>
    nftSet({ family: 'inet', name: set, type, flags: ['interval'] }, [kernelGate('nft-inet')]),
  );

export function renderSsh(ssh: SshAccess | undefined): NetItem[] {
  if (ssh === undefined) return [];
  const { input, uplinkInput, tunnelInput, output } = chainIds;
  const server = service({ unit: SSH_UNIT }, [programGate('sshd'), input, uplinkInput, tunnelInput, output]);
  return [
    server,
    ...FAMILIES.flatMap(({ set, isOf }) => elements(set, ssh.from.filter(isOf).map(keyOf), [server.id])),
  ];
}

/** Of a single host nft shows no length. */
const keyOf = (cidr: string): string => cidr.replace(cidr.includes(':') ? /\/128$/ : /\/32$/, '');
