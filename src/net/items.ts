/**
 * Owns the specs of everything the network side of a box is made of; one driver file a kind stands beside this.
 * Does not own why an item is wanted: wan, evpn, policy and containers render them.
 */
import type { ItemBase } from '../reconcile/item.ts';

/** Only ever observed, never wished for: what of an object is otherwise than its spec says (`down`, `stp on`). */
interface Drift {
  readonly drift?: readonly string[];
}

/** Links made by us carry the alias `branchbox:<item id>` (so do ports while we hold them). */
export type LinkSpec = Drift & LinkKindSpec;
type LinkKindSpec =
  | { readonly type: 'bridge'; readonly name: string; readonly mtu: number; readonly macAddress?: string }
  | {
      readonly type: 'vxlan';
      readonly name: string;
      readonly vni: number;
      readonly localAddress: string;
      readonly mtu: number;
      /** Bridge it is a port of; learning off: EVPN fills it. */
      readonly bridge: string;
    }
  /** kernel: `ip link add type wireguard`; userspace: unit wireguard-go@NAME, then the link appears. */
  | {
      readonly type: 'wireguard';
      readonly name: string;
      readonly mtu: number;
      readonly implementation: 'kernel' | 'userspace';
    }
  /** IEEE 802.1Q on a port, whose own untagged frames stay apart. */
  | {
      readonly type: 'vlan';
      readonly name: string;
      readonly parent: string;
      readonly vlan: number;
      readonly mtu: number;
    }
  /** A physical port (or what stands for one): never created or removed, only set up, sized and joined. */
  | { readonly type: 'port'; readonly name: string; readonly mtu: number; readonly bridge?: string }
  /** Loopback, set up. */
  | { readonly type: 'loopback'; readonly name: 'lo' };
export type LinkItem = ItemBase<'link', LinkSpec>;

/** `proto 98` marks ours. */
export interface AddressSpec {
  readonly link: string;
  /** With prefix length. */
  readonly address: string;
}
export type AddressItem = ItemBase<'address', AddressSpec>;

export interface RouteSpec {
  readonly table: number;
  /** `0.0.0.0/0` for the default route. */
  readonly destination: string;
  readonly type: 'unicast' | 'unreachable';
  readonly via?: string;
  readonly dev?: string;
  readonly metric: number;
  readonly onlink?: boolean;
  readonly source?: string;
}
export type RouteItem = ItemBase<'route', RouteSpec>;

export interface RuleSpec {
  readonly preference: number;
  /** Of a rule that names no address, which would tell: IPv6. Absent: IPv4. */
  readonly family?: 6;
  readonly from?: string;
  readonly to?: string;
  readonly mark?: number;
  readonly action: { readonly kind: 'lookup'; readonly table: number } | { readonly kind: 'unreachable' };
}
export type RuleItem = ItemBase<'rule', RuleSpec>;

/** `net.ipv4.ip_forward` with dots, as sysctl(8) names it; `/` stands for a dot inside an interface name. */
export interface SysctlSpec {
  readonly key: string;
  readonly value: string;
}
export type SysctlItem = ItemBase<'sysctl', SysctlSpec>;

export type NftFamily = 'inet' | 'bridge' | 'netdev';
/** A whole chain of table `branchbox`; rules are nft text, in order. Sets and maps hold what there are many of. */
export interface NftChainSpec extends Drift {
  readonly family: NftFamily;
  readonly name: string;
  readonly hook?: {
    readonly type: 'filter' | 'nat' | 'route';
    readonly hook: string;
    readonly priority: number;
    readonly policy: 'accept' | 'drop';
    readonly device?: string;
  };
  readonly rules: readonly string[];
}
export type NftChainItem = ItemBase<'nft-chain', NftChainSpec>;
export interface NftSetSpec {
  readonly family: NftFamily;
  readonly name: string;
  /** nft type text: `ipv4_addr . ifname`. */
  readonly type: string;
  /** Type of the values where it is a map (`verdict`). */
  readonly mapTo?: string;
  readonly flags?: readonly ('interval' | 'timeout')[];
}
export type NftSetItem = ItemBase<'nft-set', NftSetSpec>;
export interface NftElementSpec {
  readonly family: NftFamily;
  readonly set: string;
  readonly key: string;
  readonly value?: string;
}
export type NftElementItem = ItemBase<'nft-element', NftElementSpec>;

export interface WireGuardPeerSpec {
  readonly publicKey: string;
  readonly endpoint?: { readonly address: string; readonly port: number };
  readonly allowedIps: readonly string[];
  readonly keepaliveS: number;
}
/** Configuration of one WireGuard interface; its private key is read from a file at apply, never held in an item. */
export interface WireGuardSpec {
  readonly link: string;
  readonly privateKeyFile: string;
  /** What the interface must show for that key: makes a changed key a changed spec. */
  readonly publicKey: string;
  readonly listenPort?: number;
  readonly mark: number;
  readonly peers: readonly WireGuardPeerSpec[];
}
export type WireGuardItem = ItemBase<'wireguard', WireGuardSpec>;

/** A static forwarding entry: keeps an app's address known (and advertised by EVPN) without traffic. */
export interface FdbSpec {
  readonly link: string;
  readonly macAddress: string;
}
export type FdbItem = ItemBase<'fdb', FdbSpec>;

/** One line of FRR's configuration in its context: `['router bgp 64512', 'address-family l2vpn evpn']`, `advertise-all-vni`. */
export interface FrrLineSpec {
  readonly context: readonly string[];
  readonly line: string;
  /** Lines of one context keep this order where it matters to FRR (a peer-group before its members). Default 100. */
  readonly order: number;
}
export type FrrLineItem = ItemBase<'frr', FrrLineSpec>;

/** An instance of a template unit that must run: `dhcpcd@wan1.service`. */
export interface ServiceSpec {
  readonly unit: string;
}
export type ServiceItem = ItemBase<'service', ServiceSpec>;

/** Somebody else's condition that gates ours: `external:lease/wan1`, `external:port/lan1`, `external:kernel/vxlan`. */
export interface ExternalSpec {
  readonly description: string;
}
export type ExternalItem = ItemBase<'external', ExternalSpec>;

export type NetItem =
  | LinkItem
  | AddressItem
  | RouteItem
  | RuleItem
  | SysctlItem
  | NftChainItem
  | NftSetItem
  | NftElementItem
  | WireGuardItem
  | FdbItem
  | FrrLineItem
  | ServiceItem
  | ExternalItem;
