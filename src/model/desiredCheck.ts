/**
 * Owns which parts of a desired state may not stand together: what two of them may not both have, what refers to
 * nothing, and addresses that nobody can have. Pure. Does not own any part's form (desired.ts).
 */
import { contains, isHostOf, networkOf, overlaps, splitCidr } from './addresses.ts';
import { checkNetwork, checkStatic4, checkStatic6 } from './addressing.ts';
import { type Path, type Report, reportDuplicates, reportRepeats } from './crossCheck.ts';
import type { App } from './app.ts';
import type { DesiredSpec, Segment, Tunnel, Uplink } from './desired.ts';
import { eachReadable, type Finder, finderOf, ifReadable, mapReadable } from './readable.ts';
import { familyOf, hasFamily } from './underlay.ts';

type Checked = Pick<DesiredSpec, 'fleet' | 'vtep' | 'uplinks' | 'tunnels' | 'segments' | 'ports' | 'apps'>;

/** Each rule by itself: one that reads what is wrong in form is silent, and the next is judged all the same. */
export function checkDesired(spec: Checked, report: Report): void {
  reportDuplicates(
    report,
    'uplinks',
    'name',
    () => spec.uplinks,
    (one) => one.name,
  );
  reportDuplicates(
    report,
    'uplinks',
    'slot',
    () => spec.uplinks,
    (one) => one.slot,
  );
  reportDuplicates(
    report,
    'uplinks',
    'port',
    () => spec.uplinks,
    (one) => one.port,
  );
  reportDuplicates(
    report,
    'tunnels',
    'id',
    () => spec.tunnels,
    (one) => one.id,
  );
  reportDuplicates(
    report,
    'segments',
    'id',
    () => spec.segments,
    (one) => one.id,
  );
  reportDuplicates(
    report,
    'segments',
    'VNI',
    () => spec.segments,
    (one) => one.vni,
  );
  reportDuplicates(
    report,
    'ports',
    'port',
    () => spec.ports,
    (one) => one.port,
  );
  reportDuplicates(
    report,
    'apps',
    'name',
    () => spec.apps,
    (one) => one.name,
  );
  const uplinkNamed = finderOf(
    () => spec.uplinks,
    ({ name }) => name,
  );
  const uplinkOn = finderOf(
    () => spec.uplinks,
    ({ port }) => port,
  );
  const segmentOf = finderOf(
    () => spec.segments,
    ({ id }) => id,
  );
  eachReadable(
    () => spec.uplinks,
    (uplink, i) => checkUplink(uplink, ['uplinks', i], report),
  );
  eachReadable(
    () => spec.tunnels,
    (tunnel, i) => checkTunnel(tunnel, ['tunnels', i], uplinkNamed, report),
  );
  ifReadable(() => checkPeers(spec.tunnels, report));
  eachReadable(
    () => spec.ports,
    (port, i) => {
      ifReadable(() => {
        if (segmentOf(port.segment) === undefined)
          report(['ports', i, 'segment'], `no segment is named ${port.segment}`);
      });
      if (uplinkOn(port.port) !== undefined) report(['ports', i, 'port'], `port ${port.port} is an uplink`);
    },
  );
  eachReadable(
    () => spec.apps,
    (app, i) => checkTenant(app, ['apps', i, 'attachment', 'segment'], segmentOf, report),
  );
  ifReadable(() => checkAttachments(spec.apps, report));
  for (const range of ['vtepRange', 'tunnelRange'] as const)
    ifReadable(() => checkNetwork(spec.fleet[range], ['fleet', range], report));
  ifReadable(() => {
    if (!contains(spec.fleet.vtepRange, spec.vtep))
      report(['vtep'], `is outside the fleet's VTEP range ${spec.fleet.vtepRange}`);
  });
  ifReadable(() => {
    if (overlaps(spec.fleet.vtepRange, spec.fleet.tunnelRange))
      report(['fleet', 'tunnelRange'], 'overlaps the VTEP range');
  });
}

function checkUplink(uplink: Uplink, at: Path, report: Report): void {
  ifReadable(() => {
    if (!hasFamily(uplink, 4) && !hasFamily(uplink, 6))
      report([...at, 'addressing'], 'is none, and there is no IPv6 either');
  });
  ifReadable(() => {
    if (uplink.addressing.kind !== 'modem') return;
    if (uplink.vlan !== undefined) report([...at, 'vlan'], 'a modem has none');
    if (uplink.addressing6 !== undefined) report([...at, 'addressing6'], 'is not brought up over a modem');
  });
  ifReadable(() => {
    if (uplink.addressing.kind === 'static') checkStatic4(uplink.addressing, [...at, 'addressing'], report);
  });
  if (uplink.addressing6?.kind === 'static') checkStatic6(uplink.addressing6, [...at, 'addressing6'], report);
}

function checkTunnel(tunnel: Tunnel, at: Path, uplinkNamed: Finder<Uplink>, report: Report): void {
  const uplink = uplinkNamed(tunnel.uplink);
  if (uplink === undefined) {
    report([...at, 'uplink'], `no uplink is named ${tunnel.uplink}`);
    return;
  }
  eachReadable(
    () => tunnel.peers,
    ({ endpoint }, j) => {
      if (endpoint === undefined || hasFamily(uplink, familyOf(endpoint.address))) return;
      report(
        [...at, 'peers', j, 'endpoint', 'address'],
        `is IPv${familyOf(endpoint.address)}, and uplink ${uplink.name} has none`,
      );
    },
  );
}

function checkPeers(tunnels: readonly Tunnel[], report: Report): void {
  const peers = mapReadable(
    () => tunnels,
    (tunnel, i) =>
      mapReadable(
        () => tunnel.peers,
        (peer, j) => ({ peer, place: ['tunnels', i, 'peers', j] }),
      ),
  ).flat();
  reportRepeats(
    report,
    mapReadable(
      () => peers,
      ({ peer: { path }, place }) => ({ path: [...place, 'path'], key: path, shown: `path ${path}` }),
    ),
  );
  // Two of one preference would be one route of two nexthops: traffic over both, and no choice between them.
  reportRepeats(
    report,
    mapReadable(
      () => peers,
      ({ peer: { vtep, preference }, place }) => {
        const shown = `preference ${preference} to VTEP ${vtep}`;
        return { path: [...place, 'preference'], key: shown, shown };
      },
    ),
  );
}

function checkTenant(app: App, at: Path, segmentOf: Finder<Segment>, report: Report): void {
  const segment = segmentOf(app.attachment.segment);
  if (segment === undefined) report(at, `no segment is named ${app.attachment.segment}`);
  else if (segment.tenant !== app.tenant)
    report(at, `segment ${segment.id} belongs to tenant ${segment.tenant}, not ${app.tenant}`);
}

function checkAttachments(apps: readonly App[], report: Report): void {
  eachReadable(
    () => apps,
    ({ attachment }, i) => {
      const network = networkOf(attachment.address);
      if (!isHostOf(network, splitCidr(attachment.address).address))
        report(['apps', i, 'attachment', 'address'], `is the network or broadcast address of ${network}`);
    },
  );
  for (const key of ['address', 'macAddress'] as const) {
    reportRepeats(
      report,
      mapReadable(
        () => apps,
        ({ attachment }, i) => {
          const value = key === 'address' ? splitCidr(attachment.address).address : attachment.macAddress;
          const shown = `${value} in segment ${attachment.segment}`;
          return value === undefined
            ? undefined
            : { path: ['apps', i, 'attachment', key], key: shown, shown };
        },
      ),
    );
  }
}
