/** Ending a session at a broker that does not close the connection: over real TLS, against one that answers by hand. */
import { createServer, type TLSSocket } from 'node:tls';
import { afterEach, expect, it } from 'vitest';
import { endSession } from '../../../src/controller/broker/sessions.ts';
import { issueCertificate } from '../../../src/pki/issue.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { parseRequest } from '../../../src/pki/request.ts';
import { issue, makeCa } from '../pki/domain.ts';

const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
const ca = makeCa('Domain CA', validity);
const names = { dnsNames: ['broker.test'], ipAddresses: [] };
const own = issue(ca, { kind: 'server', commonName: 'broker', ...names }, validity);
/** MQTT 5, 3.2: taken, without a property. */
const CONNACK = Buffer.from([0x20, 3, 0, 0, 0]);

const sockets: TLSSocket[] = [];
const server = createServer(
  { cert: own.certificate.pem, key: exportPrivateKey(own.key).reveal(), allowHalfOpen: true },
  (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', () => socket.write(CONNACK));
  },
);
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

it('is done once the broker took the place of the session', async () => {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await endSession(
    {
      signer: {
        async ldevid({ csr, gatewayId }) {
          const { publicKey } = parseRequest(csr);
          const profile = { kind: 'ldevid', gatewayId } as const;
          return { certificate: issueCertificate({ profile, publicKey, issuer: ca, validity }), chain: [] };
        },
      },
      broker: { host: '127.0.0.1', port, serverName: 'broker.test', domainAnchorPem: ca.certificate.pem },
    },
    'branch1',
  );
  expect(sockets).toHaveLength(1);
});
