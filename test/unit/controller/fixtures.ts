/**
 * Owns the fleets that the controller's unit tests speak of.
 */
import { Fleet } from '../../../src/model/fleet.ts';

export const RED = { id: 'red-lan', tenant: 'red', vni: 10_010, subnet: '10.10.0.0/24' };
export const BLUE = { id: 'blue-lan', tenant: 'blue', vni: 10_020, subnet: '10.10.0.0/24' };

export function hub(id: string, vtep: string) {
  return {
    id,
    serial: `SN-${id}`,
    role: 'hub' as const,
    site: id,
    vtep,
    uplinks: [
      { name: 'internet', port: 'wan1', publicAddress: '198.51.100.20' },
      { name: 'lte', port: 'wan2', publicAddress: '203.0.113.20' },
    ],
  };
}

export function branch(id: string, vtep: string, uplinks: readonly string[] = ['internet', 'lte']) {
  return {
    id,
    serial: `SN-${id}`,
    role: 'branch' as const,
    site: id,
    vtep,
    uplinks: uplinks.map((name, i) => ({ name, port: `wan${i + 1}` })),
    ports: [
      { port: 'lan1', segment: 'red-lan' },
      { port: 'lan2', segment: 'blue-lan' },
    ],
  };
}

export function fleetOf(gateways: readonly unknown[], settings: object = {}): Fleet {
  return Fleet.parse({
    fleet: { name: 'test', tenantMtu: 1390, ...settings },
    tenants: [{ name: 'red' }, { name: 'blue' }],
    segments: [RED, BLUE],
    gateways,
  });
}

export const SMALL_FLEET = fleetOf([
  hub('hub', '10.255.0.1'),
  branch('branch1', '10.255.0.11'),
  branch('branch2', '10.255.0.12'),
]);

/** Any 32 bytes are a public key of Curve25519. */
export function publicKey(seed: number): string {
  return Buffer.alloc(32, seed).toString('base64');
}

export const CONTROLLER = {
  mqtt: { host: 'controller.branchbox.example', port: 8883 },
  device: { host: 'controller.branchbox.example', port: 8446 },
};

/** A branch that no box has yet. */
export const free = (id: string, vtep: string, site = 'spare') => {
  const { serial: _, ...rest } = branch(id, vtep);
  return { ...rest, site };
};
