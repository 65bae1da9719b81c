/**
 * Owns what two parts of a fleet may not both have: names within a gateway, ports, addresses within a segment, wherever
 * its members stand; and addresses that nobody can have. Pure.
 * Does not own what refers to what (fleetCheck.ts), nor uplinks' addresses (fleetUnderlay.ts).
 */
import { contains, isHostOf } from './addresses.ts';
import { checkNetwork } from './addressing.ts';
import { type Path, type Report, reportRepeats } from './crossCheck.ts';
import type { Fleet } from './fleet.ts';
import { appMacOf } from './ids.ts';
import { eachReadable, finderOf, mapReadable } from './readable.ts';

/** Problems that the fleet's own schema does not see, each at what the author wrote. */
export function checkPlaces(fleet: Pick<Fleet, 'fleet' | 'segments' | 'gateways'>, report: Report): void {
  eachReadable(
    () => fleet.gateways,
    (gateway, i) => {
      const at = ['gateways', i];
      onceEach(report, [...at, 'uplinks'], 'name', () => gateway.uplinks);
      onceEach(report, [...at, 'uplinks'], 'port', () => gateway.uplinks);
      onceEach(report, [...at, 'ports'], 'port', () => gateway.ports);
      onceEach(report, [...at, 'apps'], 'name', () => gateway.apps);
      const { vtepRange } = fleet.fleet;
      if (contains(vtepRange, gateway.vtep) && !isHostOf(vtepRange, gateway.vtep))
        report([...at, 'vtep'], `is the network or broadcast address of ${vtepRange}`);
    },
  );
  checkMembers(fleet, report);
}

/** What no two of a gateway's list may both have. */
function onceEach<F extends string>(
  report: Report,
  list: Path,
  field: F,
  elements: () => readonly Readonly<Record<F, string>>[],
): void {
  reportRepeats(
    report,
    mapReadable(elements, ({ [field]: key }, j) => ({ path: [...list, j, field], key, shown: key })),
  );
}

/** A segment is one Ethernet: an address counts once in it, whichever gateway its app runs at. */
function checkMembers(fleet: Pick<Fleet, 'segments' | 'gateways'>, report: Report): void {
  eachReadable(
    () => fleet.segments,
    ({ subnet }, i) => {
      if (subnet !== undefined) checkNetwork(subnet, ['segments', i, 'subnet'], report);
    },
  );
  const segmentOf = finderOf(
    () => fleet.segments,
    ({ id }) => id,
  );
  const members = mapReadable(
    () => fleet.gateways,
    (gateway, i) =>
      mapReadable(
        () => gateway.apps,
        (app, j) => ({ gateway, app, path: ['gateways', i, 'apps', j] }),
      ),
  ).flat();
  eachReadable(
    () => members,
    ({ app, path }) => {
      const subnet = segmentOf(app.segment)?.subnet;
      if (subnet !== undefined && contains(subnet, app.address) && !isHostOf(subnet, app.address))
        report([...path, 'address'], `is the network or broadcast address of ${subnet}`);
    },
  );
  reportRepeats(
    report,
    mapReadable(
      () => members,
      ({ app, path }) => ({
        path: [...path, 'address'],
        key: `${app.segment} ${app.address}`,
        shown: `${app.address} in segment ${app.segment}`,
      }),
    ),
  );
  const named = new Set<string>();
  reportRepeats(
    report,
    mapReadable(
      () => members,
      ({ gateway, app, path }) => {
        // Two of one name at one gateway are told of as that: an address is made of both.
        const name = `${path[1]}/${app.name}`;
        if (named.has(name)) return undefined;
        named.add(name);
        const macAddress = appMacOf(gateway.id, { name: app.name, attachment: app });
        return {
          path: [...path, 'macAddress'],
          key: `${app.segment} ${macAddress}`,
          shown: `${macAddress} in segment ${app.segment}`,
        };
      },
    ),
  );
}
