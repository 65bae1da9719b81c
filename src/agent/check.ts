/**
 * Owns what each feature of a kernel and each program is for, and what happens without: `branchbox check`.
 */
import { access } from 'node:fs/promises';
import type { Facts, KernelFeature } from '../model/facts.ts';
import { KERNEL_FEATURES } from '../model/facts.ts';
import type { KeyHolding } from '../model/keyHolder.ts';
import type { LocalCheck } from '../model/localStatus.ts';

/** What no item needs yet says so first: a test compares this with what is rendered. */
const USES: Readonly<Record<KernelFeature, string>> = {
  wireguard: 'tunnels in the kernel; without it wireguard-go carries them, at more processor time',
  tun: 'wireguard-go; without it and without wireguard there are no tunnels',
  vxlan: 'segments across sites; without it a segment stays local',
  'vxlan-vnifilter': 'nothing yet: each segment has a VXLAN device of its own',
  bridge: 'segments; without it there are none',
  'bridge-vlan-filtering': 'nothing yet: each segment has a bridge of its own',
  vlan: 'uplinks on a VLAN',
  vrf: 'nothing yet: domains are not routed',
  dummy: 'nothing yet: the loopback holds the VTEP address',
  'nft-inet': 'the firewall of uplinks; without it uplinks are open',
  'nft-bridge': 'anti-spoofing of apps; without it an app may take any address',
  'nft-netdev': 'nothing yet: uplinks are filtered by nft-inet',
  'nft-bridge-conntrack': 'nothing yet: no policy within a segment keeps state',
  flowtable: 'nothing yet: no packet takes the fast path',
  netem: 'nothing on a box: faults in tests',
  'fq-codel': 'nothing yet: queues are as the kernel makes them',
  cake: 'nothing yet: uplinks are not shaped',
  hsr: 'nothing yet: there is no hitless class',
  ppp: 'PPPoE uplinks',
};

const TOOLS: readonly (readonly [string, string])[] = [
  ['/usr/sbin/ip', 'all of the network'],
  ['/usr/sbin/bridge', 'forwarding entries of apps'],
  ['/usr/sbin/nft', 'the firewall'],
  ['/usr/bin/wg', 'tunnels'],
  ['/usr/bin/wireguard-go', 'tunnels where the kernel has no WireGuard'],
  ['/usr/bin/vtysh', 'routes and EVPN'],
  ['/usr/lib/frr/bgpd', 'EVPN between sites'],
  ['/usr/lib/frr/bfdd', 'fast failover'],
  ['/usr/sbin/dhcpcd', 'addresses of uplinks'],
  ['/usr/sbin/pppd', 'PPPoE uplinks'],
  ['/usr/sbin/dockerd', 'apps'],
  ['/usr/sbin/sshd', 'SSH, where the desired state opens it'],
];

export async function checkBox(facts: Facts, keys: KeyHolding): Promise<LocalCheck> {
  const tools = TOOLS.map(async ([tool, use]) => ({
    tool,
    present: await access(tool).then(
      () => true,
      () => false,
    ),
    use,
  }));
  return {
    kernelRelease: facts.kernel.release,
    features: KERNEL_FEATURES.map((feature) => ({
      feature,
      present: facts.kernel.features[feature],
      use: USES[feature],
    })),
    tools: await Promise.all(tools),
    ...(facts.engine === undefined ? {} : { engine: facts.engine }),
    keys,
  };
}
