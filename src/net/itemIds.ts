/**
 * Owns how an item's id follows from its spec. Renderers, which wish, and drivers, which observe, both build
 * items here, so that the same kernel object has the same id on either side.
 * The id holds what the kernel (or FRR) tells two objects apart by; everything else in a spec may change under it.
 */
import type { ItemBase } from '../reconcile/item.ts';
import { type ItemId, itemId } from '../model/ids.ts';
import type { KernelFeature } from '../model/facts.ts';
import type {
  AddressItem,
  AddressSpec,
  ExternalItem,
  FdbItem,
  FdbSpec,
  LinkItem,
  LinkSpec,
  NftChainItem,
  NftChainSpec,
  NftElementItem,
  NftElementSpec,
  NftSetItem,
  NftSetSpec,
  RouteItem,
  RouteSpec,
  RuleItem,
  RuleSpec,
  ServiceItem,
  ServiceSpec,
  SysctlItem,
  SysctlSpec,
  WireGuardItem,
  WireGuardSpec,
} from './items.ts';

type Needs = readonly ItemId[];

function ours<K extends string, S>(kind: K, id: ItemId, spec: S, needs: Needs): ItemBase<K, S> {
  return { kind, id, spec, needs, owner: 'us' };
}

export const link = (spec: LinkSpec, needs: Needs = []): LinkItem =>
  ours('link', itemId('link', spec.name), spec, needs);

export const address = (spec: AddressSpec, needs: Needs = []): AddressItem =>
  ours('address', itemId('address', spec.link, spec.address), spec, needs);

/** The kernel tells routes apart by table, destination and metric (TOS is always 0 here; an IPv6 default has one device). */
export const route = (spec: RouteSpec, needs: Needs = []): RouteItem =>
  ours('route', itemId('route', spec.table, spec.destination, spec.metric), spec, needs);

/** `rule:1101/mark-0x101`, of IPv6 `rule:1101/ipv6+mark-0x101`; a rule for everything is `rule:32800/all`. */
export const rule = (spec: RuleSpec, needs: Needs = []): RuleItem => {
  const selectors = [
    ...(spec.family === undefined ? [] : ['ipv6']),
    ...(spec.from === undefined ? [] : [`from-${spec.from}`]),
    ...(spec.to === undefined ? [] : [`to-${spec.to}`]),
    ...(spec.mark === undefined ? [] : [`mark-0x${spec.mark.toString(16)}`]),
  ];
  const selector = selectors.length === 0 ? 'all' : selectors.join('+');
  return ours('rule', itemId('rule', spec.preference, selector), spec, needs);
};

export const sysctl = (spec: SysctlSpec, needs: Needs = []): SysctlItem =>
  ours('sysctl', itemId('sysctl', spec.key), spec, needs);

export const nftChain = (spec: NftChainSpec, needs: Needs = []): NftChainItem =>
  ours('nft-chain', itemId('nft-chain', spec.family, spec.name), spec, needs);

export const nftSet = (spec: NftSetSpec, needs: Needs = []): NftSetItem =>
  ours('nft-set', itemId('nft-set', spec.family, spec.name), spec, needs);

export const nftElement = (spec: NftElementSpec, needs: Needs = []): NftElementItem =>
  ours('nft-element', itemId('nft-element', spec.family, spec.set, spec.key), spec, needs);

export const wireguard = (spec: WireGuardSpec, needs: Needs = []): WireGuardItem =>
  ours('wireguard', itemId('wireguard', spec.link), spec, needs);

export const fdb = (spec: FdbSpec, needs: Needs = []): FdbItem =>
  ours('fdb', itemId('fdb', spec.link, spec.macAddress), spec, needs);

export const service = (spec: ServiceSpec, needs: Needs = []): ServiceItem =>
  ours('service', itemId('service', spec.unit), spec, needs);

/**
 * Gates: what must be there before an item of ours can be. Those that are there are reported by gates.ts, from facts, and by
 * externalGate.ts, from the kernel. Nobody reports leases, sessions, modems or the clock: a renderer names such a gate only
 * while it is shut.
 */
export const leaseGate = (ifname: string): ItemId => itemId('external', 'lease', ifname);
export const lease6Gate = (ifname: string): ItemId => itemId('external', 'lease6', ifname);
export const portGate = (label: string): ItemId => itemId('external', 'port', label);
/** A session with its address. */
export const pppoeGate = (ifname: string): ItemId => itemId('external', 'pppoe', ifname);
/** A modem's bearer with its address. */
export const modemGate = (ifname: string): ItemId => itemId('external', 'modem', ifname);
/** Of a package that not every machine has: `external:program/sshd`. */
export const programGate = (name: 'sshd'): ItemId => itemId('external', 'program', name);
/** That the clock is not behind what peers have of this box's key. */
export const clockGate = (): ItemId => itemId('external', 'clock', 'tunnels');
export const kernelGate = (feature: KernelFeature): ItemId => itemId('external', 'kernel', feature);

/** `description` is a sentence for `explain`. */
export const external = (id: ItemId, description: string): ExternalItem => ({
  kind: 'external',
  id,
  spec: { description },
  needs: [],
  owner: 'external',
});
