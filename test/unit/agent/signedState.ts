/**
 * Owns signed desired states for tests of the agent.
 */
import type { DesiredState } from '../../../src/model/desired.ts';
import { signJws } from '../../../src/pki/jws.ts';
import { issue, makeCa, NOW_MS } from '../pki/domain.ts';

export const GATEWAY = 'branch1';
const ca = makeCa('Domain CA');
export const ANCHORS = [ca.certificate];
const signer = issue(ca, { kind: 'configuration-signing', commonName: 'signer' });
const ldevid = issue(ca, { kind: 'ldevid', gatewayId: GATEWAY });
const stranger = issue(makeCa('Other CA'), { kind: 'configuration-signing', commonName: 'signer' });

export function desired(generation: number, change: Partial<DesiredState> = {}): DesiredState {
  return {
    schema: 1,
    gatewayId: GATEWAY,
    epoch: 1,
    generation,
    notBefore: NOW_MS - 1000,
    spec: {
      role: 'branch',
      site: 'here',
      fleet: { asn: 64_512, tenantMtu: 1390, vtepRange: '10.255.0.0/16', tunnelRange: '10.254.0.0/16' },
      vtep: '10.255.0.11',
      controller: {
        mqtt: { host: 'controller.example', port: 8883 },
        device: { host: 'controller.example', port: 8446 },
      },
      uplinks: [
        {
          name: 'internet',
          slot: 1,
          port: 'wan1',
          colour: 'internet',
          addressing: { kind: 'dhcp' },
          metered: false,
        },
      ],
      tunnels: [],
      overlay: { reflectors: [], clients: [] },
      segments: [],
      ports: [],
      apps: [],
    },
    ...change,
  };
}

const SIGNERS = { signer, ldevid, stranger } as const;

export function signed(state: unknown, by: keyof typeof SIGNERS = 'signer'): string {
  return signJws(new TextEncoder().encode(JSON.stringify(state)), SIGNERS[by]);
}
