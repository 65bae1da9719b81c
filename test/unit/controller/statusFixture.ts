/**
 * Owns the least status that a gateway can send.
 */
import { KERNEL_FEATURES } from '../../../src/model/facts.ts';
import { GatewayStatus } from '../../../src/model/status.ts';

/** `seed` makes its public key. */
export function statusWith(gatewayId: string, change: { readonly sequence: number; readonly seed: number }) {
  return GatewayStatus.parse({
    schema: 1,
    gatewayId,
    sequence: change.sequence,
    sentAtMs: 1,
    health: { state: 'ok', conditions: [] },
    uplinks: [],
    paths: [],
    segments: [],
    apps: [],
    facts: {
      serial: `SN-${gatewayId}`,
      model: 'lab',
      version: '0',
      bootId: 'boot',
      kernel: { release: '6', features: Object.fromEntries(KERNEL_FEATURES.map((name) => [name, false])) },
      ports: [],
      leases: [],
      wireguardPublicKey: Buffer.alloc(32, change.seed).toString('base64'),
    },
  });
}
