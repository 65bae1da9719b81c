/**
 * Owns a branch of two uplinks as its parts are read: what FRR prints of its paths, and the verdict on it.
 */
import { DesiredSpec } from '../../../src/model/desired.ts';
import { wireguardOf } from '../../../src/model/ids.ts';
import { parseLiveness, parseRoutes, parseSessions, parseVnis } from '../../../src/telemetry/frrState.ts';
import { type HealthInput, judge } from '../../../src/telemetry/health.ts';
import { type BoxReading, statusOf, type Undone } from '../../../src/telemetry/status.ts';
import { appFacts, appSpec } from '../../lab/appSpec.ts';

export const KEY = `${'A'.repeat(42)}A=`;
const tunnel = (uplink: string, net: number, preference: number) => ({
  id: `${uplink}-hub`,
  uplink,
  address: `10.254.${net}.2/24`,
  peers: [
    {
      path: `branch1.${uplink}~hub.${uplink}`,
      gatewayId: 'hub',
      publicKey: KEY,
      tunnelAddress: `10.254.${net}.1`,
      vtep: '10.255.0.1',
      allowed: ['10.255.0.0/16'],
      keepaliveS: 25,
      preference,
      liveness: { intervalMs: 50, multiplier: 3 },
    },
  ],
});
export const spec = DesiredSpec.parse({
  ...appSpec(),
  uplinks: [
    { name: 'internet', slot: 1, port: 'wan1', colour: 'internet', addressing: { kind: 'dhcp' } },
    { name: 'lte', slot: 2, port: 'wan2', colour: 'lte', addressing: { kind: 'dhcp' } },
  ],
  tunnels: [tunnel('internet', 1, 1), tunnel('lte', 2, 100)],
  overlay: { reflectors: [{ gatewayId: 'hub', vtep: '10.255.0.1' }], clients: [] },
});
export const facts = {
  ...appFacts(),
  ports: ['wan1', 'wan2'].map((label) => ({ label, role: 'wan' as const, ifname: label, carrier: true })),
  leases: ['wan1', 'wan2'].map((ifname, i) => ({
    ifname,
    address: `192.0.2.${i + 1}/24`,
    gateway: '192.0.2.254',
    dns: [],
    bootstrapServers: [],
  })),
};
/** As FRR 10.3 prints it. */
export const bfd = (internet: string, lte: string) => [
  { multihop: false, peer: '10.254.1.1', interface: wireguardOf('internet-hub'), status: internet },
  { multihop: false, peer: '10.254.2.1', interface: wireguardOf('lte-hub'), status: lte },
];
const route = (via: string, ifname: string) => ({
  '10.255.0.1/32': [
    {
      protocol: 'static',
      selected: true,
      nexthops: [{ fib: true, ip: via, interfaceName: ifname, active: true }],
    },
    { protocol: 'kernel', nexthops: [{ ip: '10.254.1.1', interfaceName: wireguardOf('internet-hub') }] },
  ],
});
const session = (state: string) => ({ peers: { '10.255.0.1': { state } } });
export const nothing: Undone = { blocked: new Map(), failures: new Map() };
export const boxOf = (liveness: unknown, routes: unknown, more: Partial<BoxReading> = {}): BoxReading => ({
  frr: {
    liveness: parseLiveness(liveness),
    routes: parseRoutes(routes),
    remoteVteps: parseVnis([
      { vni: 10_010, type: 'L2', numRemoteVteps: 1, remoteVteps: [{ ip: '10.255.0.12', flood: 'HER' }] },
    ]),
    sessions: parseSessions(session('Established')),
  },
  handshakeAgeS: () => 7,
  links: new Set(['br-10010', 'vx-10010', 'br-10020', 'vx-10020']),
  apps: { apps: [{ app: 'red-app', state: 'running', restarts: 0, reason: undefined }] },
  ...more,
});
export const well = boxOf(bfd('up', 'up'), route('10.254.1.1', wireguardOf('internet-hub')));
export const dark = boxOf(bfd('down', 'up'), route('10.254.2.1', wireguardOf('lte-hub')));

export const verdict = (box: BoxReading, undone: Undone = nothing, more: Partial<HealthInput> = {}) =>
  judge({
    spec,
    box,
    undone,
    body: statusOf(spec, facts, box, undone),
    gateSentence: () => undefined,
    controller: { connected: true, lastProblem: undefined },
    refused: undefined,
    eventsDropped: 0,
    modems: [],
    ...more,
  });
