/**
 * Owns which parts of a desired state may not stand together: what two of them may not both have, what refers to
 * nothing, and addresses that nobody can have. Pure. Does not own any part's form (desired.ts).
 */
import { contains, isHostOf, networkOf, overlaps, splitCidr } from './addresses.ts';
import { checkNetwork, checkStatic4, checkStatic6 } from './addressing.ts';
import { type Report, reportDuplicates, reportRepeats } from './crossCheck.ts';
import type { DesiredSpec } from './desired.ts';
import { familyOf, hasFamily } from './underlay.ts';

export function checkDesired(
  spec: Pick<DesiredSpec, 'fleet' | 'vtep' | 'uplinks' | 'tunnels' | 'segments' | 'ports' | 'apps'>,
  report: Report,
): void {
  reportDuplicates(
    report,
    'uplinks',
    'name',
    spec.uplinks.map((u) => u.name),
  );
  reportDuplicates(
    report,
    'uplinks',
    'slot',
    spec.uplinks.map((u) => u.slot),
  );
  reportDuplicates(
    report,
    'uplinks',
    'port',
    spec.uplinks.map((u) => u.port),
  );
  reportDuplicates(
    report,
    'tunnels',
    'id',
    spec.tunnels.map((t) => t.id),
  );
  reportDuplicates(
    report,
    'segments',
    'id',
    spec.segments.map((s) => s.id),
  );
  reportDuplicates(
    report,
    'segments',
    'VNI',
    spec.segments.map((s) => s.vni),
  );
  reportDuplicates(
    report,
    'ports',
    'port',
    spec.ports.map((p) => p.port),
  );
  reportDuplicates(
    report,
    'apps',
    'name',
    spec.apps.map((a) => a.name),
  );
  const uplinks = new Map(spec.uplinks.map((u) => [u.name, u]));
  const uplinkPorts = new Set(spec.uplinks.map((u) => u.port));
  const segments = new Map(spec.segments.map((s) => [s.id, s]));
  spec.uplinks.forEach((uplink, i) => {
    if (!hasFamily(uplink, 4) && !hasFamily(uplink, 6))
      report(['uplinks', i, 'addressing'], 'is none, and there is no IPv6 either');
    if (uplink.addressing.kind === 'static')
      checkStatic4(uplink.addressing, ['uplinks', i, 'addressing'], report);
    if (uplink.addressing6?.kind === 'static')
      checkStatic6(uplink.addressing6, ['uplinks', i, 'addressing6'], report);
  });
  spec.tunnels.forEach((tunnel, i) => {
    const uplink = uplinks.get(tunnel.uplink);
    if (uplink === undefined) {
      report(['tunnels', i, 'uplink'], `no uplink is named ${tunnel.uplink}`);
      return;
    }
    tunnel.peers.forEach(({ endpoint }, j) => {
      if (endpoint === undefined || hasFamily(uplink, familyOf(endpoint.address))) return;
      report(
        ['tunnels', i, 'peers', j, 'endpoint', 'address'],
        `is IPv${familyOf(endpoint.address)}, and uplink ${uplink.name} has none`,
      );
    });
  });
  const peers = spec.tunnels.flatMap(({ peers: own }, i) =>
    own.map((peer, j) => ({ ...peer, place: ['tunnels', i, 'peers', j] })),
  );
  reportRepeats(
    report,
    peers.map(({ path, place }) => ({ path: [...place, 'path'], key: path, shown: `path ${path}` })),
  );
  // Two of one preference would be one route of two nexthops: traffic over both, and no choice between them.
  reportRepeats(
    report,
    peers.map(({ vtep, preference, place }) => {
      const shown = `preference ${preference} to VTEP ${vtep}`;
      return { path: [...place, 'preference'], key: shown, shown };
    }),
  );
  spec.ports.forEach((port, i) => {
    if (!segments.has(port.segment)) report(['ports', i, 'segment'], `no segment is named ${port.segment}`);
    if (uplinkPorts.has(port.port)) report(['ports', i, 'port'], `port ${port.port} is an uplink`);
  });
  spec.apps.forEach((app, i) => {
    const segment = segments.get(app.attachment.segment);
    if (segment === undefined) {
      report(['apps', i, 'attachment', 'segment'], `no segment is named ${app.attachment.segment}`);
    } else if (segment.tenant !== app.tenant) {
      report(
        ['apps', i, 'attachment', 'segment'],
        `segment ${segment.id} belongs to tenant ${segment.tenant}, not ${app.tenant}`,
      );
    }
  });
  const attachments = spec.apps.map((app, i) => ({
    ...app.attachment,
    address: splitCidr(app.attachment.address).address,
    network: networkOf(app.attachment.address),
    path: ['apps', i, 'attachment'],
  }));
  for (const { network, address, path } of attachments) {
    if (!isHostOf(network, address))
      report([...path, 'address'], `is the network or broadcast address of ${network}`);
  }
  for (const key of ['address', 'macAddress'] as const) {
    reportRepeats(
      report,
      attachments.flatMap(({ segment, path, ...attachment }) => {
        const value = attachment[key];
        const shown = `${value} in segment ${segment}`;
        return value === undefined ? [] : [{ path: [...path, key], key: shown, shown }];
      }),
    );
  }
  for (const range of ['vtepRange', 'tunnelRange'] as const)
    checkNetwork(spec.fleet[range], ['fleet', range], report);
  if (!contains(spec.fleet.vtepRange, spec.vtep))
    report(['vtep'], `is outside the fleet's VTEP range ${spec.fleet.vtepRange}`);
  if (overlaps(spec.fleet.vtepRange, spec.fleet.tunnelRange))
    report(['fleet', 'tunnelRange'], 'overlaps the VTEP range');
}
