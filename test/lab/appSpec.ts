/**
 * Owns a desired state with one app, and the facts of a box that can run it.
 */
import { DesiredSpec } from '../../src/model/desired.ts';
import { Facts, KERNEL_FEATURES } from '../../src/model/facts.ts';

export interface AppChoice {
  readonly address?: string;
  /** What the app answers. */
  readonly name?: string;
  readonly reference?: string;
}

const SERVE =
  'ip -4 addr show eth0 >/www/seen; echo start >>/www/kept/starts; echo "$NAME" >/www/index.html; exec busybox httpd -f -p 80 -h /www';

export function appSpec(choice: AppChoice = {}): DesiredSpec {
  return DesiredSpec.parse({
    role: 'branch',
    site: 'branch1',
    fleet: {
      asn: 64_512,
      tenantMtu: 1390,
      vtepRange: '10.255.0.0/16',
      tunnelRange: '10.254.0.0/16',
    },
    vtep: '10.255.0.11',
    controller: {
      mqtt: { host: 'controller.branchbox.example', port: 8883 },
      device: { host: 'controller.branchbox.example', port: 8446 },
    },
    uplinks: [{ name: 'internet', slot: 1, port: 'wan1', colour: 'internet', addressing: { kind: 'dhcp' } }],
    tunnels: [],
    overlay: { reflectors: [], clients: [] },
    segments: [
      { id: 'red', tenant: 'red', vni: 10_010, subnet: '10.10.0.0/24' },
      { id: 'blue', tenant: 'blue', vni: 10_020, subnet: '10.10.0.0/24' },
    ],
    ports: [],
    apps: [
      {
        name: 'red-app',
        tenant: 'red',
        image: {
          reference: choice.reference ?? 'red/app:1',
          bundle: { sha256: 'a'.repeat(64), sizeBytes: 1 },
        },
        command: ['-c', SERVE],
        environment: { NAME: choice.name ?? 'red-app' },
        volumes: [{ name: 'kept', path: '/www/kept' }],
        attachment: { segment: 'red', address: choice.address ?? '10.10.0.100/24' },
        limits: { memoryBytes: 32 * 1024 * 1024, cpus: 0.5 },
      },
    ],
  });
}

export function appFacts(): Facts {
  return Facts.parse({
    serial: 'A1',
    model: 'lab',
    version: '0',
    bootId: 'b',
    kernel: { release: '6', features: Object.fromEntries(KERNEL_FEATURES.map((name) => [name, true])) },
    ports: [{ label: 'wan1', role: 'wan', ifname: 'wan1', carrier: true }],
    leases: [],
    wireguardPublicKey: 'A'.repeat(43).replace(/.$/, 'A') + '=',
    engine: { name: 'docker', version: '26' },
  });
}
