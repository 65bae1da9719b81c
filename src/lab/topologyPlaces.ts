/**
 * Owns what two parts of a topology may not both have, and names that the lab gives itself: each would end in a refused
 * command of `ip` half-way up, or in a host that nobody reaches. Pure.
 * Does not own what refers to what (topology.ts).
 */
import { contains, ipv4ToNumber, splitCidr } from '../model/addresses.ts';
import { type Report, reportRepeats } from '../model/crossCheck.ts';
import { SPARE_NODE } from './paths.ts';
import type { Topology, TopologyNetwork } from './topology.ts';

/** The kernel's own, and what wiring.ts calls a provider's ends of cables. */
const TAKEN_IN_PROVIDER = /^(lo|port\d+|transit\d+)$/;
/** wiring.ts puts a host's cable to a LAN port there. */
const LAN_HOST_PORT = 'eth0';

export function checkTopologyPlaces(
  { providers, nodes }: Pick<Topology, 'providers' | 'nodes'>,
  report: Report,
): void {
  const names = [
    ...providers.map(({ name }, i) => ({ path: ['providers', i, 'name'], key: name, shown: name })),
    ...nodes.map(({ name }, i) => ({ path: ['nodes', i, 'name'], key: name, shown: name })),
  ];
  reportRepeats(report, names);
  for (const { path, key } of names)
    if (key === SPARE_NODE) report(path, `is where the lab keeps the ends of cables that nobody plugged in`);
  providers.forEach((provider, i) => {
    const at = ['providers', i, 'networks'];
    reportRepeats(
      report,
      provider.networks.map(({ name }, j) => ({ path: [...at, j, 'name'], key: name, shown: name })),
    );
    provider.networks.forEach((network, j) => {
      if (TAKEN_IN_PROVIDER.test(network.name))
        report([...at, j, 'name'], 'is a name that the lab gives itself');
      checkPool(network, [...at, j, 'dhcp'], report);
    });
  });
  nodes.forEach(({ uplinks, lan, lanOf }, i) => {
    const at = ['nodes', i];
    reportRepeats(
      report,
      uplinks.map(({ name }, j) => ({ path: [...at, 'uplinks', j, 'name'], key: name, shown: name })),
    );
    const ports = [
      ...(lanOf === undefined
        ? []
        : [{ path: [...at, 'lanOf', 'port'], key: LAN_HOST_PORT, shown: LAN_HOST_PORT }]),
      ...uplinks.map(({ port }, j) => ({ path: [...at, 'uplinks', j, 'port'], key: port, shown: port })),
      ...lan.map((port, j) => ({ path: [...at, 'lan', j], key: port, shown: port })),
    ];
    reportRepeats(report, ports);
    for (const { path, key } of ports) if (key === 'lo') report(path, "is every node's loopback");
  });
  reportRepeats(
    report,
    nodes.flatMap(({ lanOf }, i) =>
      lanOf === undefined
        ? []
        : [
            {
              path: ['nodes', i, 'lanOf'],
              key: `${lanOf.gateway} ${lanOf.port}`,
              shown: `LAN port ${lanOf.port} of ${lanOf.gateway}`,
            },
          ],
    ),
  );
  checkStations({ providers, nodes }, report);
}

function checkPool({ router, dhcp }: TopologyNetwork, path: (string | number)[], report: Report): void {
  // That it needs a router is said there.
  if (dhcp === undefined || router === undefined) return;
  for (const end of ['first', 'last'] as const)
    if (!contains(router, dhcp[end])) report([...path, end], `${dhcp[end]} is not in ${router}`);
  if (ipv4ToNumber(dhcp.first) > ipv4ToNumber(dhcp.last)) report([...path, 'last'], 'is before the first');
}

/** An address counts once in a network, its router's too. */
function checkStations({ providers, nodes }: Pick<Topology, 'providers' | 'nodes'>, report: Report): void {
  const stations = [
    ...providers.flatMap(({ name, networks }, i) =>
      networks.flatMap(({ name: network, router }, j) =>
        router === undefined
          ? []
          : [
              {
                path: ['providers', i, 'networks', j, 'router'],
                network: `${name}/${network}`,
                address: splitCidr(router).address,
              },
            ],
      ),
    ),
    ...nodes.flatMap(({ uplinks }, i) =>
      uplinks.flatMap((uplink, j) =>
        (['address', 'reserved'] as const).flatMap((key) => {
          const address = uplink[key];
          const path = ['nodes', i, 'uplinks', j, key];
          return address === undefined ? [] : [{ path, network: uplink.network, address }];
        }),
      ),
    ),
  ];
  reportRepeats(
    report,
    stations.map(({ path, network, address }) => {
      const shown = `${address} in ${network}`;
      return { path, key: shown, shown };
    }),
  );
}
