/**
 * Owns that an app speaks only as itself: from its link, its MAC address and its IPv4 address, in Ethernet, ARP and IP.
 * Every app link, known by how its name begins, is closed; a set's element opens one for one source. So a link that
 * comes up too early, or whose element is gone, is silent rather than unguarded. Pure.
 */
import { splitCidr } from '../model/addresses.ts';
import type { DesiredSpec } from '../model/desired.ts';
import { APP_SOURCES_SET, appLinkOf, appMacOf, appSourceKey, itemId } from '../model/ids.ts';
import type { NetItem } from '../net/items.ts';
import { chain, elements, set } from './pieces.ts';

const ENTRY = 'app_entry';
const GUARD = 'app_guard';
/** Before every other judgement on bridged frames (NF_BR_PRI_NAT_DST_BRIDGED is -300). */
const PRIORITY_FIRST = -350;

export function renderAppGuard(spec: DesiredSpec, gatewayId: string): NetItem[] {
  const keys = spec.apps.map((app) =>
    appSourceKey(appLinkOf(app), appMacOf(gatewayId, app), splitCidr(app.attachment.address).address),
  );
  return [
    set(APP_SOURCES_SET, 'ifname . ether_addr . ipv4_addr', 'bridge'),
    chain(
      GUARD,
      undefined,
      [
        // Both the frame's and ARP's own sender, since either alone can be forged.
        `ether type arp iifname . ether saddr . arp saddr ip @${APP_SOURCES_SET} ` +
          `iifname . arp saddr ether . arp saddr ip @${APP_SOURCES_SET} accept`,
        `ether type ip iifname . ether saddr . ip saddr @${APP_SOURCES_SET} accept`,
        'counter drop',
      ],
      'bridge',
    ),
    chain(
      ENTRY,
      { hook: 'prerouting', priority: PRIORITY_FIRST, policy: 'accept' },
      [`iifname "app-*" jump ${GUARD}`],
      'bridge',
    ),
    ...elements(APP_SOURCES_SET, keys, [itemId('nft-chain', 'bridge', ENTRY)], 'bridge'),
  ];
}
