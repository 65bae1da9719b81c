/** Whom an uplink test takes for the controller: over the loopback, by real TLS. */
import { createServer, type Server } from 'node:tls';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { reachFarEnd } from '../../../src/wan/uplinkTest/reach.ts';
import { issue, makeCa, serverHere } from '../pki/domain.ts';

const validity = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
/** A domain that stands below an organisation's own root, which no box knows. */
const domain = issue(makeCa('Root CA', validity), { kind: 'ca', commonName: 'Domain CA' }, validity);
const server = issue(domain, serverHere('controller'), validity);
const box = issue(domain, { kind: 'ldevid', gatewayId: 'branch1' }, validity);

let listening: Server;
beforeEach(async () => {
  listening = createServer({ cert: server.certificate.pem, key: exportPrivateKey(server.key).reveal() });
  listening.on('secureConnection', (socket) => socket.on('error', () => {}));
  listening.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
});
afterEach(() => listening.close());

it('a controller whose domain stands below another CA proves who it is', async () => {
  const address = listening.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const { reach, socket } = await reachFarEnd({
    target: { host: '127.0.0.1', port },
    addresses: ['127.0.0.1'],
    address: '127.0.0.2',
    credentials: {
      key: exportPrivateKey(box.key),
      certificatePem: box.certificate.pem,
      anchorPem: domain.certificate.pem,
    },
    nowMs: () => performance.now(),
    signal: new AbortController().signal,
  });
  socket?.destroy();
  expect(reach).toMatchObject({ kind: 'proven', host: '127.0.0.1', port });
});
