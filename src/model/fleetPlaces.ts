/**
 * Owns what two parts of a fleet may not both have: names within a gateway, ports, addresses within a segment, wherever
 * its members stand; and addresses that nobody can have. Pure.
 * Does not own what refers to what (fleet.ts), nor uplinks' addresses (fleetUnderlay.ts).
 */
import { contains, isHostOf } from './addresses.ts';
import { checkNetwork } from './addressing.ts';
import { type Report, reportRepeats } from './crossCheck.ts';
import type { Fleet, FleetGateway } from './fleet.ts';
import { appMacOf } from './ids.ts';

/** Problems that the fleet's own schema does not see, each at what the author wrote. */
export function checkPlaces(
  fleet: Pick<Fleet, 'fleet' | 'segments'> & { readonly gateways: readonly FleetGateway[] },
  report: Report,
): void {
  const { vtepRange } = fleet.fleet;
  fleet.gateways.forEach((gateway, i) => {
    const at = ['gateways', i];
    const { uplinks, ports, apps } = gateway;
    const own = (list: string, field: string, keys: readonly string[]): void =>
      reportRepeats(
        report,
        keys.map((key, j) => ({ path: [...at, list, j, field], key, shown: key })),
      );
    own(
      'uplinks',
      'name',
      uplinks.map(({ name }) => name),
    );
    own(
      'uplinks',
      'port',
      uplinks.map(({ port }) => port),
    );
    own(
      'ports',
      'port',
      ports.map(({ port }) => port),
    );
    own(
      'apps',
      'name',
      apps.map(({ name }) => name),
    );
    if (contains(vtepRange, gateway.vtep) && !isHostOf(vtepRange, gateway.vtep))
      report([...at, 'vtep'], `is the network or broadcast address of ${vtepRange}`);
  });
  checkMembers(fleet, report);
}

/** A segment is one Ethernet: an address counts once in it, whichever gateway its app runs at. */
function checkMembers(
  { segments, gateways }: Pick<Fleet, 'segments'> & { readonly gateways: readonly FleetGateway[] },
  report: Report,
): void {
  segments.forEach(({ subnet }, i) => {
    if (subnet !== undefined) checkNetwork(subnet, ['segments', i, 'subnet'], report);
  });
  const subnets = new Map(segments.map(({ id, subnet }) => [id, subnet]));
  const members = gateways.flatMap((gateway, i) =>
    gateway.apps.map((app, j) => ({
      gateway,
      app,
      path: ['gateways', i, 'apps', j],
      isFirst: gateway.apps.findIndex(({ name }) => name === app.name) === j,
    })),
  );
  for (const { app, path } of members) {
    const subnet = subnets.get(app.segment);
    if (subnet !== undefined && contains(subnet, app.address) && !isHostOf(subnet, app.address))
      report([...path, 'address'], `is the network or broadcast address of ${subnet}`);
  }
  reportRepeats(
    report,
    members.map(({ app, path }) => ({
      path: [...path, 'address'],
      key: `${app.segment} ${app.address}`,
      shown: `${app.address} in segment ${app.segment}`,
    })),
  );
  reportRepeats(
    report,
    // Two of one name at one gateway are told of as that: an address is made of both.
    members
      .filter(({ isFirst }) => isFirst)
      .map(({ gateway, app, path }) => {
        const macAddress = appMacOf(gateway.id, { name: app.name, attachment: app });
        return {
          path: [...path, 'macAddress'],
          key: `${app.segment} ${macAddress}`,
          shown: `${macAddress} in segment ${app.segment}`,
        };
      }),
  );
}
