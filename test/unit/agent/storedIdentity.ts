/** Owns an enrolled box as the identity process leaves it for the agent, for tests: made in memory, by a CA of the test. */
import type { StoredIdentity } from '../../../src/agent/ownIdentity.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { issue, type makeCa } from '../pki/domain.ts';

/** `at`: where everything of its owner is. */
export function storedIdentity(
  ca: ReturnType<typeof makeCa>,
  box: ReturnType<typeof issue> = issue(ca, { kind: 'ldevid', gatewayId: 'branch1' }),
  at: { readonly host: string; readonly port: number } = { host: 'a.example', port: 1 },
): StoredIdentity {
  return {
    owner: {
      schema: 1,
      gatewayId: 'branch1',
      est: at,
      mqtt: at,
      device: at,
      domainAnchorPem: ca.certificate.pem,
    },
    gatewayId: 'branch1',
    anchors: [ca.certificate],
    key: exportPrivateKey(box.key),
    certificatePem: box.certificate.pem,
    anchorPem: ca.certificate.pem,
  };
}
