/**
 * Owns the names of policy's chains and sets in table `branchbox`, and building their items with the needs that
 * follow from their text. Does not own any rule.
 */
import type { KernelFeature } from '../model/facts.ts';
import { type ItemId, itemId } from '../model/ids.ts';
import { kernelGate, nftChain, nftElement, nftSet } from '../net/itemIds.ts';
import type { NetItem, NftChainSpec, NftFamily } from '../net/items.ts';
import { referencesOf } from '../net/nftChain.ts';

export const CHAINS = {
  untrackedIn: 'untracked_in',
  untrackedOut: 'untracked_out',
  input: 'input',
  uplinkInput: 'uplink_input',
  tunnelInput: 'tunnel_input',
  installerInput: 'installer_input',
  forward: 'forward',
  tunnelForward: 'tunnel_forward',
  output: 'output',
  overlayLeak: 'overlay_leak',
  vxlanSenders: 'vxlan_senders',
} as const;
export const SETS = {
  uplinks: 'uplinks',
  tunnels: 'tunnels',
  installerPorts: 'installer_ports',
  wireguardPorts: 'wireguard_ports',
  sshSources: 'ssh_sources',
  sshSources6: 'ssh_sources6',
  hubVteps: 'hub_vteps',
  vtepVnis: 'vtep_vnis',
} as const;

export const chainIds = {
  input: itemId('nft-chain', 'inet', CHAINS.input),
  output: itemId('nft-chain', 'inet', CHAINS.output),
  uplinkInput: itemId('nft-chain', 'inet', CHAINS.uplinkInput),
  tunnelInput: itemId('nft-chain', 'inet', CHAINS.tunnelInput),
} as const;

const FEATURE: Readonly<Record<NftFamily, KernelFeature>> = {
  inet: 'nft-inet',
  bridge: 'nft-bridge',
  netdev: 'nft-netdev',
};

export interface Hook {
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output';
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
}

export function chain(
  name: string,
  hook: Hook | undefined,
  rules: readonly string[],
  family: NftFamily = 'inet',
): NetItem {
  const spec: NftChainSpec = {
    family,
    name,
    ...(hook === undefined ? {} : { hook: { type: 'filter', ...hook } }),
    rules,
  };
  return nftChain(spec, [kernelGate(FEATURE[family]), ...referencesOf(spec)]);
}

export const set = (name: string, type: string, family: NftFamily = 'inet'): NetItem =>
  nftSet({ family, name, type }, [kernelGate(FEATURE[family])]);

/** `after`: chains that must judge by the element from the moment it is there. */
export function elements(
  name: string,
  keys: readonly string[],
  after: readonly ItemId[] = [],
  family: NftFamily = 'inet',
): NetItem[] {
  return keys.map((key) =>
    nftElement({ family, set: name, key }, [itemId('nft-set', family, name), ...after]),
  );
}
