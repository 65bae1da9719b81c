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

const domainCredentials = {
  key: exportPrivateKey(box.key),
  certificatePem: box.certificate.pem,
  anchorPem: domain.certificate.pem,
};
const portHere = (): number => {
  const address = listening.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
};
const common = {
  proxy: undefined,
  address: '127.0.0.2',
  credentials: domainCredentials,
  signal: new AbortController().signal,
};

it('a controller whose domain stands below another CA proves who it is', async () => {
  const port = portHere();
  const { reach, socket } = await reachFarEnd({
    ...common,
    target: { host: '127.0.0.1', port },
    addresses: ['127.0.0.1'],
    nowMs: () => performance.now(),
    untilMs: Number.POSITIVE_INFINITY,
  });
  socket?.destroy();
  expect(reach).toMatchObject({ kind: 'proven', host: '127.0.0.1', port });
});

it('further addresses are tried until the time for them is over', async () => {
  const target = { host: '127.0.0.1', port: portHere() };
  // Nobody listens at the first.
  const addresses = ['127.0.0.9', '127.0.0.1'];
  const options = { ...common, target, addresses, nowMs: () => 100 };
  const found = await reachFarEnd({ ...options, untilMs: 101 });
  found.socket?.destroy();
  expect(found.reach).toMatchObject({ kind: 'proven', address: '127.0.0.1' });
  expect((await reachFarEnd({ ...options, untilMs: 100 })).reach).toMatchObject({ kind: 'silent' });
});

it('a controller whose certificate has ended is named with why it is not believed', async () => {
  const over = { notBeforeMs: Date.now() - 120_000, notAfterMs: Date.now() - 60_000 };
  const old = issue(domain, serverHere('controller'), over);
  listening.setSecureContext({ cert: old.certificate.pem, key: exportPrivateKey(old.key).reveal() });
  const { reach } = await reachFarEnd({
    ...common,
    target: { host: '127.0.0.1', port: portHere() },
    addresses: ['127.0.0.1'],
    nowMs: () => performance.now(),
    untilMs: Number.POSITIVE_INFINITY,
  });
  expect(reach).toMatchObject({
    kind: 'impostor',
    certificate: 'controller',
    why: 'TLS: certificate has expired',
  });
});

it('somebody else at one address does not hide the controller at the next, and is named where there is none', async () => {
  const port = portHere();
  const stranger = issue(makeCa('Hotel Proxy CA', validity), serverHere('Hotel Proxy'), validity);
  const liar = createServer({ cert: stranger.certificate.pem, key: exportPrivateKey(stranger.key).reveal() });
  liar.on('secureConnection', (socket) => socket.on('error', () => {}));
  liar.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => liar.listen(port, '127.0.0.3', resolve));
  const nowMs = (): number => performance.now();
  const options = {
    ...common,
    target: { host: '127.0.0.1', port },
    nowMs,
    untilMs: Number.POSITIVE_INFINITY,
  };
  try {
    const found = await reachFarEnd({ ...options, addresses: ['127.0.0.3', '127.0.0.1'] });
    found.socket?.destroy();
    expect(found.reach).toMatchObject({ kind: 'proven', address: '127.0.0.1' });
    // Nobody listens at the second.
    const none = await reachFarEnd({ ...options, addresses: ['127.0.0.3', '127.0.0.9'] });
    expect(none.reach).toMatchObject({ kind: 'impostor', certificate: 'Hotel Proxy' });
  } finally {
    liar.close();
  }
});
