/**
 * Owns what a test of uplinks is about: which uplinks, whom to reach by them, what is expected, and how the budget of
 * bytes is spent. Pure. Does not own measuring.
 */
import { splitCidr } from '../../model/addresses.ts';
import type { DesiredSpec } from '../../model/desired.ts';
import type { Facts } from '../../model/facts.ts';
import type { BootstrapNetwork, HttpProxy } from '../../model/medium.ts';
import {
  type Addressing,
  attachmentOf,
  type Family,
  familyOf,
  type Line,
  uplinkIfname,
} from '../../model/underlay.ts';
import { planFactoryUplinks } from '../factory.ts';
import { BUDGET_BYTES, type UplinkExpectation, type UplinkTestRequest } from '../../model/uplinkReport.ts';

/** Where the far end is: the controller's device API, or a bootstrap server while the box has no owner. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface Subject {
  readonly name: string;
  readonly port: string;
  readonly ifname: string | undefined;
  readonly carrier: boolean;
  readonly metered: boolean;
  /** With prefix length; of IPv4 where it has both. */
  readonly address: string | undefined;
  readonly gateway: string | undefined;
  /** Of the address's family: others cannot be asked from it. */
  readonly dns: readonly string[];
  /** An uplink that has the very same address: by it goes what is sent from there (wan/uplinks: the first rule counts). */
  readonly twin: string | undefined;
  /** For these two the gateway is the other end of a session, and lives as long as the session. */
  readonly pppoe: boolean;
  readonly modem: boolean;
  /** Of DHCP or a router's advertisement: an address that is missing is the provider's matter, else the site's. */
  readonly dhcp: boolean;
  readonly budgetBytes: number;
  readonly expect: UplinkExpectation;
  /** In order; the first that answers is measured against. */
  readonly targets: readonly Target[];
  /** Every connection goes through it where one is named, and it asks for names. */
  readonly proxy: HttpProxy | undefined;
}

/** A lease that names more means harm. */
const MAX_TARGETS = 3;

/** What a box knows of itself when it plans a test. */
export interface Known {
  readonly spec: DesiredSpec | undefined;
  readonly facts: Pick<Facts, 'ports' | 'leases' | 'leases6'>;
  /** What a bootstrap medium said. */
  readonly network: BootstrapNetwork | undefined;
  /** Bootstrap servers of the factory, as written. */
  readonly builtIn: readonly string[];
  /** Its owner's controller, which it has before it has a desired state. */
  readonly owner: Target | undefined;
}

/** `capBytes`: of the budget where none was asked for. */
export function planSubjects(
  known: Known,
  request: UplinkTestRequest,
  capBytes: number = BUDGET_BYTES.max,
): readonly Subject[] {
  const { spec, facts, network } = known;
  const all = spec === undefined ? ofFactory(known) : ofDesired(spec, facts);
  return all
    .filter(({ name }) => request.uplink === undefined || request.uplink === name)
    .map(({ slot, ...one }) => ({
      ...one,
      twin: all.find(
        (other) => one.address !== undefined && other.slot < slot && ownAddress(other) === ownAddress(one),
      )?.name,
      proxy: network?.proxy,
      budgetBytes:
        request.budgetBytes ?? Math.min(capBytes, one.metered ? BUDGET_BYTES.metered : BUDGET_BYTES.usual),
    }));
}

interface Bare extends Omit<Subject, 'budgetBytes' | 'proxy' | 'twin'> {
  readonly slot: number;
}

function ofDesired(spec: DesiredSpec, facts: Known['facts']): readonly Bare[] {
  return spec.uplinks.map((uplink) => {
    const { name, slot, port, metered, addressing, addressing6, expect = {} } = uplink;
    const own = attached(facts, uplink);
    const isDhcp: Readonly<Record<Family, boolean>> = {
      4: addressing.kind === 'dhcp',
      6: addressing6?.kind === 'auto',
    };
    return {
      name,
      slot,
      port,
      metered,
      expect,
      dhcp: own.address === undefined ? isDhcp[4] || isDhcp[6] : isDhcp[familyOf(own.address)],
      pppoe: addressing.kind === 'pppoe',
      modem: addressing.kind === 'modem',
      ...own,
      targets: [spec.controller.device],
    };
  });
}

/**
 * What an uplink costs is not known yet: each counts as metered. Nor whether the site has a second line: a WAN port
 * without a cable is tested only where none has one.
 */
function ofFactory({ facts, network, builtIn, owner }: Known): readonly Bare[] {
  const wan = planFactoryUplinks(facts, network).map((uplink) => ({ uplink, own: attached(facts, uplink) }));
  const cabled = wan.filter(
    ({ uplink, own }) => own.carrier && (uplink.addressing.kind !== 'modem' || own.address !== undefined),
  );
  return (cabled.length > 0 ? cabled : wan).map(({ uplink, own }) => {
    const { port: label, slot, addressing } = uplink;
    const named = [...facts.leases, ...facts.leases6]
      .filter(({ ifname }) => ifname === (own.ifname ?? label))
      .flatMap(({ bootstrapServers }) => bootstrapServers);
    // Whom the box has for its owner proves who it is; a bootstrap server could not.
    const targets = owner === undefined ? [...named, ...builtIn].flatMap(parseTarget) : [owner];
    return {
      name: label,
      slot,
      port: label,
      metered: true,
      expect: {},
      dhcp: addressing.kind === 'dhcp',
      pppoe: addressing.kind === 'pppoe',
      modem: addressing.kind === 'modem',
      ...own,
      targets: targets.slice(0, MAX_TARGETS),
    };
  });
}

function attached(
  facts: Known['facts'],
  uplink: Line & Addressing,
): Pick<Subject, 'ifname' | 'carrier' | 'address' | 'gateway' | 'dns'> {
  const port = facts.ports.find(({ label }) => label === uplink.port);
  const ifname = uplinkIfname(uplink, facts);
  const own =
    attachmentOf(uplink, 4, ifname ?? uplink.port, facts) ??
    attachmentOf(uplink, 6, ifname ?? uplink.port, facts);
  return {
    ifname,
    carrier: port?.carrier ?? false,
    address: own?.address,
    gateway: own?.gateway,
    dns: own === undefined ? [] : own.dns.filter((server) => familyOf(server) === familyOf(own.address)),
  };
}

/** The server of a bootstrap URI (RFC 8572 8.3); none where it is not one. */
export function parseTarget(uri: string): readonly Target[] {
  if (uri.length > 1024 || !URL.canParse(uri)) return [];
  const url = new URL(uri);
  if (url.protocol !== 'https:' || url.hostname === '' || url.username !== '') return [];
  return [{ host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 443 : Number(url.port) }];
}

export const ownAddress = ({ address }: Pick<Subject, 'address'>): string | undefined =>
  address === undefined ? undefined : splitCidr(address).address;

/** How a budget is spent. */
export interface Spending {
  readonly probes: number;
  readonly probeBytes: number;
  /** Of the search for the path MTU, both ways. */
  readonly mtuBytes: number;
  readonly downloadBytes: number;
  readonly uploadBytes: number;
}

/** A TLS handshake with both certificates and their chains, and what TCP adds to it. */
export const HANDSHAKE_BYTES = 10 * 1024;
/** The least budget has two of them. */
export const FIRST_TRANSFER_BYTES = 8 * 1024;
/** With its request, the headers around each segment, and what acknowledges them; a budget leaves a tenth for that. */
export const transferBytes = (bytes: number): number => Math.ceil(bytes * 1.06) + 256;
const MAX_PROBES = 100;
/** Fewer would make a percentile of them meaningless. */
const MIN_PROBES = 20;
/** Of a probe's IP packet: that of a small voice packet. */
const PROBE_BYTES = 128;

/** Handshakes come first, then a tenth for round trips, a quarter for the MTU; of the rest more comes than goes. Pure. */
export function spendBudget(budgetBytes: number): Spending {
  const free = Math.max(0, budgetBytes - 2 * HANDSHAKE_BYTES);
  const probes = Math.max(MIN_PROBES, Math.min(MAX_PROBES, Math.floor(free / 10 / (2 * PROBE_BYTES))));
  const mtuBytes = Math.min(128 * 1024, Math.floor(free / 4));
  const rest = Math.max(0, free - probes * 2 * PROBE_BYTES - mtuBytes);
  return {
    probes,
    probeBytes: PROBE_BYTES,
    mtuBytes,
    downloadBytes: Math.floor(rest * 0.6),
    uploadBytes: Math.floor(rest * 0.3),
  };
}
