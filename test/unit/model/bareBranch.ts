/** Owns the least that a branch can be told: one uplink, and nothing over it. */
import type { DesiredSpec } from '../../../src/model/desired.ts';

export const BARE_BRANCH: DesiredSpec = {
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
};
