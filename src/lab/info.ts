/**
 * Owns `lab info --json`: what a program must know to use a lab. Schema and making of it.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { controllerAddress, PORTS } from './controllerNode.ts';
import type { Nodes } from './nodes.ts';
import { type LabPaths, nodePaths } from './paths.ts';
import { networkOfUplink, type Topology } from './topology.ts';

const Endpoint = z.strictObject({ url: z.string(), reachableFrom: z.array(z.string()) });
export const LabInfo = z.strictObject({
  lab: z.string(),
  nodes: z.array(
    z.strictObject({
      name: z.string(),
      role: z.enum(['controller', 'hub', 'branch', 'host', 'provider']),
      /** Of its PID 1, in the host's numbers. */
      pid: z.int(),
      /** For `nsenter --net=` ; its last part for `ip netns exec`. */
      netns: z.string(),
    }),
  ),
  endpoints: z.strictObject({
    sztp: Endpoint,
    est: Endpoint,
    api: Endpoint,
    mqtt: Endpoint,
    manufacturer: Endpoint,
  }),
  /** PEM files. */
  anchors: z.strictObject({
    manufacturer: z.string(),
    voucher: z.string(),
    domain: z.string(),
    tls: z.string(),
  }),
  /** A file; its content is the bearer token of the API. */
  adminCredential: z.string(),
});
export type LabInfo = z.output<typeof LabInfo>;

export function labInfo(paths: LabPaths, topology: Topology, nodes: Pick<Nodes, 'pidOf'>): LabInfo {
  const named = [
    ...topology.providers.map(({ name }) => ({ name, role: 'provider' as const })),
    ...topology.nodes,
  ];
  // The providers and whoever has an uplink to one: LAN hosts have none.
  const reachableFrom = [
    ...topology.providers.map(({ name }) => name),
    ...topology.nodes
      .filter(({ uplinks }) => uplinks.some((uplink) => networkOfUplink(topology, uplink)))
      .map(({ name }) => name),
  ];
  // By address: a program that enters a netns uses the host's resolver.
  const address = controllerAddress(topology);
  const endpoint = (scheme: string, port: number, path = ''): z.output<typeof Endpoint> => ({
    url: `${scheme}://${address}:${port}${path}`,
    reachableFrom,
  });
  return {
    lab: paths.lab,
    nodes: named.flatMap(({ name, role }) => {
      const pid = nodes.pidOf(name);
      return pid === undefined ? [] : [{ name, role, pid, netns: nodePaths(paths, name).netns }];
    }),
    endpoints: {
      sztp: endpoint('https', PORTS.sztp),
      est: endpoint('https', PORTS.est, '/.well-known/est'),
      api: endpoint('https', PORTS.api, '/api/v1'),
      mqtt: endpoint('mqtts', PORTS.mqtt),
      manufacturer: endpoint('https', PORTS.manufacturer),
    },
    anchors: {
      manufacturer: join(paths.access, 'manufacturer.pem'),
      voucher: join(paths.access, 'voucher.pem'),
      domain: join(paths.access, 'domain.pem'),
      tls: join(paths.access, 'tls.pem'),
    },
    adminCredential: join(paths.access, 'admin.credential'),
  };
}
