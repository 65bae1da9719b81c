/**
 * Owns what may enter, leave and cross a box: which packets its uplinks and tunnels may bring to it, what a hub passes
 * on between tunnels, that no overlay packet leaves an uplink in clear, and that an app speaks as itself alone. Pure.
 * Chains are constant text; what there are many of (links, ports, senders, apps) are elements of sets, so that one
 * more changes one element.
 * Does not own the links themselves, nor isolation between segments: those are bridges of their own.
 */
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import { VXLAN_PORT, wireguardOf } from '../model/ids.ts';
import { planInstallerPorts } from '../model/installer.ts';
import { hasFamily, type Line, uplinkIfname } from '../model/underlay.ts';
import type { NetItem } from '../net/items.ts';
import { renderAppGuard } from './appGuard.ts';
import { CHAINS, chain, chainIds, elements, set, SETS } from './pieces.ts';
import { lookerRules, renderSsh, renderSshSets, SSH_RULES } from './ssh.ts';

/** Shift of a VNI in the 32 bits of VXLAN's header that hold it and a reserved byte (RFC 7348 section 5). */
const VNI_STEP = 256;
/** BFD: single hop, echo (RFC 5881 section 4), multihop (RFC 5883 section 5). */
const BFD_PORTS = '3784, 3785, 4784';
/** BFD's and VXLAN's packets are judged one by one. No flow of a permitted VNI may open the way for another of its sender. */
const UNTRACKED = `udp dport { ${BFD_PORTS}, ${VXLAN_PORT} } notrack`;
/** Linux's ip_local_port_range: what bgpd calls from. */
const EPHEMERAL_PORTS = '32768-60999';
/**
 * RFC 4890 4.4. Errors (too big, unreachable, time exceeded) are not among them: of what the box sent they are `related`,
 * and of anything else nobody's business. Switches that snoop hand on neighbour discovery only to who answers their
 * queries (RFC 4541 3).
 */
const NEIGHBOUR_DISCOVERY = ['echo-request', 'nd-neighbor-solicit', 'nd-neighbor-advert', 'nd-router-advert'];
/** For who stands before a box that is not enrolled: an address, names and the installer's page. */
const INSTALLER_RULES = [
  'udp sport 68 udp dport 67 accept',
  'udp dport 53 accept',
  // 443 and 853: nobody listens, and the kernel says so. A phone that tries HTTPS or DNS over TLS first would wait for an
  // answer that is dropped.
  'tcp dport { 53, 80, 443, 853 } accept',
  'icmp type echo-request accept',
];
/** Before conntrack (NF_IP_PRI_CONNTRACK is -200): what is judged packet by packet needs no state. */
const PRIORITY_RAW = -300;
const PRIORITY_FILTER = 0;

/** Quarantined: tunnels bring nothing in, nothing is passed on between them, and no frame of a segment leaves by one. */
export function renderPolicy(
  spec: DesiredSpec,
  facts: Facts,
  gatewayId: string,
  { quarantined = false, look }: { readonly quarantined?: boolean; readonly look?: number | undefined } = {},
): readonly NetItem[] {
  const uplinks = spec.uplinks.map((uplink) => uplinkIfname(uplink, facts) ?? uplink.port);
  const tunnels = spec.tunnels.map(({ id }) => wireguardOf(id));
  const ports = spec.tunnels.flatMap(({ listenPort }) => (listenPort === undefined ? [] : [`${listenPort}`]));
  const clients = spec.role === 'hub' ? spec.overlay.clients : [];
  const { vtepRange, tunnelRange } = spec.fleet;
  const senders = spec.role === 'hub' ? `jump ${CHAINS.vxlanSenders}` : 'accept';
  const forwarded =
    spec.role === 'hub'
      ? [
          `ip saddr ${vtepRange} ip daddr ${vtepRange} udp dport ${VXLAN_PORT} ${senders}`,
          `ip saddr ${vtepRange} ip daddr ${vtepRange} meta l4proto icmp accept`,
        ]
      : [];
  return [
    ...renderBox(uplinks, { quarantined, look, ipv6: spec.uplinks.some((uplink) => hasFamily(uplink, 6)) }),
    ...elements(SETS.tunnels, tunnels, [chainIds.tunnelInput]),
    ...elements(SETS.wireguardPorts, [...new Set(ports)], [chainIds.uplinkInput]),
    chain(
      CHAINS.tunnelInput,
      undefined,
      quarantined
        ? []
        : [
            `ip saddr ${vtepRange} udp dport ${VXLAN_PORT} ${senders}`,
            `ip saddr { ${vtepRange}, ${tunnelRange} } udp dport { ${BFD_PORTS} } accept`,
            `ip saddr ${vtepRange} tcp dport 179 accept`,
            // A peer's old session with a box that was restarted: the kernel answers with a reset. Nothing can be opened so.
            `ip saddr ${vtepRange} tcp sport 179 tcp dport ${EPHEMERAL_PORTS} tcp flags & (syn | ack) == ack accept`,
            'meta l4proto icmp accept',
            SSH_RULES[0],
          ],
    ),
    chain(CHAINS.tunnelForward, undefined, quarantined ? [] : forwarded),
    chain(CHAINS.overlayLeak, undefined, [`ip daddr { ${vtepRange}, ${tunnelRange} } drop`]),
    ...(spec.role === 'hub' ? renderSenders(spec.overlay.reflectors, clients) : []),
    ...renderSsh(spec.ssh),
    ...renderAppGuard(spec, gatewayId),
  ];
}

/**
 * Of a box that has no desired state yet: it may ask for an address and call out; nobody may call in. Where it is not
 * enrolled, who stands before it may ask by a LAN port for an address, for names and for the installer's page.
 */
export function renderFactoryPolicy(
  lines: readonly Line[],
  facts: Facts,
  { enrolled, look }: { readonly enrolled: boolean; readonly look?: number | undefined },
): readonly NetItem[] {
  const uplinks = lines.map((line) => uplinkIfname(line, facts) ?? line.port);
  const installerPorts = enrolled ? [] : planInstallerPorts(facts).map(({ ifname }) => ifname);
  return [
    ...renderBox(uplinks, { installerPorts, look, ipv6: true }),
    chain(CHAINS.tunnelInput, undefined, []),
    chain(CHAINS.tunnelForward, undefined, []),
    chain(CHAINS.overlayLeak, undefined, []),
  ];
}

/** The same with and without a desired state, so that taking one on opens nothing for a moment. */
function renderBox(
  uplinks: readonly string[],
  {
    installerPorts = [],
    quarantined = false,
    look,
    ipv6,
  }: {
    readonly installerPorts?: readonly string[];
    readonly quarantined?: boolean;
    readonly look: number | undefined;
    readonly ipv6: boolean;
  },
): NetItem[] {
  return [
    set(SETS.uplinks, 'ifname'),
    set(SETS.tunnels, 'ifname'),
    set(SETS.installerPorts, 'ifname'),
    set(SETS.wireguardPorts, 'inet_service'),
    ...renderSshSets(),
    ...elements(SETS.uplinks, uplinks, [chainIds.input, chainIds.output]),
    ...elements(SETS.installerPorts, installerPorts, [chainIds.input]),
    chain(CHAINS.untrackedIn, { hook: 'prerouting', priority: PRIORITY_RAW, policy: 'accept' }, [UNTRACKED]),
    chain(CHAINS.untrackedOut, { hook: 'output', priority: PRIORITY_RAW, policy: 'accept' }, [UNTRACKED]),
    chain(CHAINS.input, { hook: 'input', priority: PRIORITY_FILTER, policy: 'drop' }, [
      'iifname "lo" accept',
      'ct state established,related accept',
      'ct state invalid drop',
      `iifname @${SETS.uplinks} jump ${CHAINS.uplinkInput}`,
      `iifname @${SETS.tunnels} jump ${CHAINS.tunnelInput}`,
      `iifname @${SETS.installerPorts} jump ${CHAINS.installerInput}`,
    ]),
    // Without such a port it is closed, too. Forwarding stays dropped: a phone reaches the box and nothing behind it.
    chain(CHAINS.installerInput, undefined, installerPorts.length === 0 ? [] : INSTALLER_RULES),
    chain(CHAINS.uplinkInput, undefined, [
      'icmp type echo-request accept',
      `icmpv6 type { ${[...NEIGHBOUR_DISCOVERY, ...(ipv6 ? ['mld-listener-query'] : [])].join(', ')} } accept`,
      'udp sport 67 udp dport 68 accept',
      'udp sport 547 udp dport 546 accept',
      `udp dport @${SETS.wireguardPorts} accept`,
      ...SSH_RULES,
    ]),
    chain(CHAINS.forward, { hook: 'forward', priority: PRIORITY_FILTER, policy: 'drop' }, [
      `iifname @${SETS.tunnels} oifname @${SETS.tunnels} jump ${CHAINS.tunnelForward}`,
    ]),
    chain(CHAINS.output, { hook: 'output', priority: PRIORITY_FILTER, policy: 'accept' }, [
      ...lookerRules(look),
      ...(quarantined ? [`udp dport ${VXLAN_PORT} drop`] : []),
      // A lost route to a VTEP must end in silence, never in a tenant's frames on a provider's wire.
      `oifname @${SETS.uplinks} udp dport ${VXLAN_PORT} drop`,
      `oifname @${SETS.uplinks} jump ${CHAINS.overlayLeak}`,
    ]),
  ];
}

/**
 * On a hub: which VNIs a branch may speak of, by the VTEP it sends from (WireGuard lets it send from no other).
 * The mark carries the VNI through the look-up, since sets of raw header bits have no type that nft can name.
 */
function renderSenders(
  hubs: readonly { readonly vtep: string }[],
  clients: DesiredSpec['overlay']['clients'],
): NetItem[] {
  return [
    set(SETS.hubVteps, 'ipv4_addr'),
    set(SETS.vtepVnis, 'ipv4_addr . mark'),
    chain(CHAINS.vxlanSenders, undefined, [
      `ip saddr @${SETS.hubVteps} accept`,
      `meta mark set @th,96,32 & 0xffffff00`,
      `ip saddr . meta mark @${SETS.vtepVnis} meta mark set 0 accept`,
      'counter drop',
    ]),
    ...elements(
      SETS.hubVteps,
      hubs.map(({ vtep }) => vtep),
    ),
    ...elements(
      SETS.vtepVnis,
      clients.flatMap(({ vtep, vnis }) => vnis.map((vni) => `${vtep} . ${vni * VNI_STEP}`)),
    ),
  ];
}
