/**
 * Owns which families an uplink of a fleet has, which of them a path takes, and what of that does not fit, each at what
 * the author wrote. Pure.
 * Does not own what becomes of a path (controller/designTunnels).
 */
import { contains, isReachable, splitCidr } from './addresses.ts';
import { checkNetwork, checkStatic4, checkStatic6 } from './addressing.ts';
import type { Path, Report } from './crossCheck.ts';
import { renderPath } from './decode.ts';
import { VXLAN_OVERHEAD_BYTES } from './desired.ts';
import type { Fleet, FleetGateway } from './fleet.ts';
import { isLinkLocal } from './prefixes.ts';
import { eachReadable, ifReadable, mapReadable } from './readable.ts';
import {
  type Addressing,
  type Family,
  familyOf,
  hasFamily,
  TUNNEL_OVERHEAD_BYTES,
  uplinkMtu,
} from './underlay.ts';

type FleetUplink = FleetGateway['uplinks'][number];
type PublicAddresses = Pick<FleetUplink, 'publicAddress' | 'publicAddress6'>;
export type AddressedUplink = Pick<FleetUplink, 'ipv4' | 'static' | 'modem' | 'ipv6' | 'static6'>;

/** The desired state's words for it. */
export function addressingOf({ ipv4, ipv6, static: static4, modem, static6 }: AddressedUplink): Addressing {
  return {
    addressing:
      modem !== undefined
        ? { kind: 'modem', ...modem }
        : static4 !== undefined
          ? { kind: 'static', ...static4 }
          : { kind: ipv4 ?? 'dhcp' },
    ...(static6 !== undefined
      ? { addressing6: { kind: 'static', ...static6 } }
      : ipv6 === 'auto'
        ? { addressing6: { kind: 'auto' } }
        : {}),
  };
}

const publicAddressOf = (uplink: PublicAddresses, family: Family): string | undefined =>
  family === 4 ? uplink.publicAddress : uplink.publicAddress6;

/**
 * Where a branch's uplink sends to, to reach an uplink of a hub; undefined where they have no family in common.
 * IPv4 first: its packets are 20 bytes shorter, it is what providers look after best, and a branch with IPv4 stays on
 * it when its hub gains IPv6.
 */
export function endpointAddress(
  branchUplink: AddressedUplink,
  hubUplink: PublicAddresses,
): string | undefined {
  const addressing = addressingOf(branchUplink);
  const [first] = ([4, 6] as const).filter(
    (family) => hasFamily(addressing, family) && publicAddressOf(hubUplink, family) !== undefined,
  );
  return first === undefined ? undefined : publicAddressOf(hubUplink, first);
}

/** The most that a tenant's packet may have, so that what carries it over that family fits an underlay of so many bytes. */
export const tenantMtuOver = (family: Family, underlayBytes: number): number =>
  underlayBytes - TUNNEL_OVERHEAD_BYTES[family] - VXLAN_OVERHEAD_BYTES;

type Checked = Pick<Fleet, 'fleet' | 'gateways'>;

export function checkUnderlay(checked: Checked, report: Report): void {
  for (const range of ['vtepRange', 'tunnelRange'] as const)
    ifReadable(() => checkNetwork(checked.fleet[range], ['fleet', range], report));
  eachReadable(
    () => checked.gateways,
    (gateway, i) =>
      eachReadable(
        () => gateway.uplinks,
        (uplink, j) => checkUplink(checked, gateway, uplink, ['gateways', i, 'uplinks', j], report),
      ),
  );
  ifReadable(() => checkPaths(checked, report));
}

function checkUplink(
  checked: Checked,
  gateway: FleetGateway,
  uplink: FleetUplink,
  at: Path,
  report: Report,
): void {
  const reportField: ReportField = (field, message) => report([...at, field], message);
  ifReadable(() => checkAddressing(uplink, reportField));
  ifReadable(() => checkPublic(gateway, uplink, checked, reportField));
  ifReadable(() => {
    if (uplink.static === undefined) return;
    checkStatic4(uplink.static, [...at, 'static'], report);
    checkOutside(splitCidr(uplink.static.address).address, checked.fleet, (message) =>
      report([...at, 'static', 'address'], message),
    );
  });
  if (uplink.static6 !== undefined) checkStatic6(uplink.static6, [...at, 'static6'], report);
}

/** What has an address of the tunnels is looked for in them, and a tunnel to an address inside them would carry itself. */
function checkOutside(
  address: string,
  { vtepRange, tunnelRange }: Fleet['fleet'],
  report: (message: string) => void,
): void {
  for (const range of [vtepRange, tunnelRange]) {
    if (contains(range, address)) report(`is inside ${range}, which is reached through the tunnels`);
  }
}

type ReportField = (field: string, message: string) => void;

function checkAddressing(uplink: FleetUplink, report: ReportField): void {
  const { ipv4, ipv6, static: static4, static6 } = uplink;
  if (ipv4 !== undefined && static4 !== undefined)
    report('ipv4', 'is said twice: static has an IPv4 address');
  if (ipv6 !== undefined && static6 !== undefined)
    report('ipv6', 'is said twice: static6 has an IPv6 address');
  const addressing = addressingOf(uplink);
  if (uplink.modem !== undefined) {
    for (const field of ['ipv4', 'static', 'ipv6', 'static6', 'vlan'] as const)
      if (uplink[field] !== undefined) report(field, 'is not for a modem: its network gives the address');
  }
  if (ipv4 === 'pppoe' && hasFamily(addressing, 6))
    report('ipv6', 'is not brought up over PPPoE: leave it out');
  if (!hasFamily(addressing, 4) && !hasFamily(addressing, 6))
    report('ipv4', 'is none, and there is no IPv6 either: say ipv6 = "auto", or static6');
}

function checkPublic(
  { role }: FleetGateway,
  uplink: FleetUplink,
  { fleet }: Checked,
  report: ReportField,
): void {
  const { publicAddress, publicAddress6 } = uplink;
  const addressing = addressingOf(uplink);
  if (role === 'hub' && publicAddress === undefined && publicAddress6 === undefined) {
    report(
      hasFamily(addressing, 4) ? 'publicAddress' : 'publicAddress6',
      'a hub needs it: branches must know where to send',
    );
  }
  if (publicAddress !== undefined) {
    if (!hasFamily(addressing, 4)) report('publicAddress', 'the uplink has no IPv4 (ipv4 = "none")');
    if (!isReachable(publicAddress)) report('publicAddress', 'is no address that branches can send to');
    checkOutside(publicAddress, fleet, (message) => report('publicAddress', message));
  }
  if (publicAddress6 !== undefined) {
    if (!hasFamily(addressing, 6))
      report('publicAddress6', 'the uplink has no IPv6: say ipv6 = "auto", or static6');
    if (!isReachable(publicAddress6) || isLinkLocal(publicAddress6))
      report('publicAddress6', 'is no address that branches can send to');
  }
}

interface End {
  readonly gateway: FleetGateway;
  readonly uplink: FleetUplink;
  /** In the fleet. */
  readonly at: string;
}

interface UnderlayPath {
  readonly ends: readonly [branch: End, hub: End];
  readonly family: Family;
}

const endsOf = (gateway: FleetGateway, i: number): readonly End[] =>
  gateway.uplinks.map((uplink, j) => ({
    gateway,
    uplink,
    at: renderPath(['gateways', i, 'uplinks', j]),
  }));

/** A branch stands on a path to each hub: hubs do not speak to each other over the underlay. */
function checkPaths({ fleet, gateways }: Checked, report: Report): void {
  const all: UnderlayPath[] = [];
  const hubs = mapReadable(
    () => gateways,
    (hub, i) => (hub.role === 'hub' ? { hub, i } : undefined),
  );
  eachReadable(
    () => gateways,
    (branch, i) => {
      if (branch.role !== 'branch') return;
      eachReadable(
        () => hubs,
        ({ hub, i: hubAt }) => {
          // That it has no address at all is said there.
          if (hub.uplinks.every((one) => one.publicAddress === undefined && one.publicAddress6 === undefined))
            return;
          const paths = endsOf(branch, i).flatMap((own) =>
            endsOf(hub, hubAt).flatMap((theirs): UnderlayPath[] => {
              const address = endpointAddress(own.uplink, theirs.uplink);
              return address === undefined ? [] : [{ ends: [own, theirs], family: familyOf(address) }];
            }),
          );
          all.push(...paths);
          if (paths.length > 0) return;
          report(
            ['gateways', i, 'uplinks'],
            `none has an address family in common with hub ${hub.id}, so no path leads there: give the hub a publicAddress6 or the branch IPv4`,
          );
        },
      );
    },
  );
  checkTenantMtu(fleet.tenantMtu, all, report);
}

const mtuOf = ({ uplink }: End): number => uplinkMtu(addressingOf(uplink));

/**
 * One for the whole fleet, so the narrowest path counts. What does not fit goes as fragments: of IPv6 they get lost (RFC
 * 7872), of IPv4 each packet becomes two, and NATs may drop what comes out of order (RFC 4787 11).
 */
function checkTenantMtu(tenantMtu: number, paths: readonly UnderlayPath[], report: Report): void {
  let narrowest: { readonly most: number; readonly path: UnderlayPath; readonly end: End } | undefined;
  for (const path of paths) {
    const [own, theirs] = path.ends;
    const end = mtuOf(theirs) < mtuOf(own) ? theirs : own;
    const most = tenantMtuOver(path.family, mtuOf(end));
    if (narrowest === undefined || most < narrowest.most) narrowest = { most, path, end };
  }
  if (narrowest === undefined || tenantMtu <= narrowest.most) return;
  const { most, path, end } = narrowest;
  const [own, theirs] = path.ends.map(({ gateway, uplink }) => `${gateway.id}.${uplink.name}`);
  const { ipv4, modem } = end.uplink;
  const kind = modem !== undefined ? 'a modem' : ipv4 === 'pppoe' ? 'PPPoE' : 'Ethernet';
  report(
    ['fleet', 'tenantMtu'],
    `does not fit path ${own}~${theirs}: at most ${most} over IPv${path.family}, since ${end.at} (${kind}) carries ${mtuOf(end)}`,
  );
}
