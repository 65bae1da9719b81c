/**
 * A way that was made ahead, to a server of TLS that judges certificates as a broker does; going back by live sessions is
 * in controllerLink.test.ts.
 */
import { once } from 'node:events';
import { constants } from 'node:crypto';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import { afterEach, expect, it } from 'vitest';
import type { Way } from '../../../src/agent/controllerDial.ts';
import { createWayAhead } from '../../../src/agent/wayAhead.ts';
import { Secret } from '../../../src/model/secret.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createUplinkDialer } from '../../../src/system/uplinkDial.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
import { DAY_MS, issue, makeCa, serverHere } from '../pki/domain.ts';

const validity = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };
const ca = makeCa('Domain CA', validity);
const broker = issue(ca, serverHere('broker'), validity);
const known = issue(ca, { kind: 'ldevid', gatewayId: 'branch1' }, validity);
const unknown = issue(makeCa('Another CA', validity), { kind: 'ldevid', gatewayId: 'branch1' }, validity);

let server: Server | undefined;
const accepted: TLSSocket[] = [];
afterEach(() => {
  for (const socket of accepted.splice(0)) socket.destroy();
  server?.close();
});

async function listen(more: TlsOptions = {}): Promise<number> {
  server = createServer(
    {
      cert: broker.certificate.pem,
      key: exportPrivateKey(broker.key).reveal(),
      ca: ca.certificate.pem,
      requestCert: true,
      rejectUnauthorized: true,
      ...more,
    },
    (socket) => void accepted.push(socket.on('error', () => {}).on('data', (said) => socket.write(said))),
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function wayTo(port: number, { certificate, key }: typeof known = known): Way {
  return {
    dialer: createUplinkDialer({ leases: () => [], log }),
    uplinks: [{ ifname: 'wan1', address: '127.0.0.2', dns: [] }],
    endpoint: { host: '127.0.0.1', port },
    identity: {
      gatewayId: 'branch1',
      key: new Secret(exportPrivateKey(key).reveal()),
      certificatePem: certificate.pem,
      anchorPem: ca.certificate.pem,
    },
  };
}
const running = new AbortController().signal;

it.each(['TLSv1.3', 'TLSv1.2'] as const)(
  'is made in %s where the broker takes the certificate, and taken while it stands',
  async (version) => {
    const way = wayTo(await listen({ minVersion: version, maxVersion: version }));
    // The time for a verdict is longer than the test's: the broker's word is what it waits for.
    const ahead = createWayAhead(log, { verdictTimeoutMs: 600_000 });
    expect(await ahead.make(way, 'wan1', running)).toBe(true);
    const own = ahead.take(way);
    expect(own?.socket.getProtocol()).toBe(version);
    expect(ahead.take(way)).toBeUndefined();
    own?.socket.write('CONNECT');
    expect(String(await once(own?.socket ?? expect.unreachable(), 'data'))).toBe('CONNECT');
    own?.socket.destroy();
    expect(await ahead.make(way, 'wan1', running)).toBe(true);
    await expect.poll(() => accepted).toHaveLength(2);
    accepted[1]?.destroy();
    await expect.poll(() => ahead.take(way)).toBeUndefined();
  },
);

it.each(['TLSv1.3', 'TLSv1.2'] as const)(
  'is none in %s where the broker refuses the certificate',
  async (version) => {
    const way = wayTo(await listen({ minVersion: version, maxVersion: version }), unknown);
    const ahead = createWayAhead(log, { verdictTimeoutMs: 600_000 });
    expect(await ahead.make(way, 'wan1', running)).toBe(false);
    expect(ahead.isMade()).toBe(false);
  },
);

it('is taken at its silence where the broker issues no tickets', async () => {
  const way = wayTo(await listen({ minVersion: 'TLSv1.3', secureOptions: constants.SSL_OP_NO_TICKET }));
  const ahead = createWayAhead(log, { verdictTimeoutMs: 1 });
  expect(await ahead.make(way, 'wan1', running)).toBe(true);
  ahead.drop();
  expect(ahead.isMade()).toBe(false);
});

it('is not taken for another controller, nor for another certificate', async () => {
  const way = wayTo(await listen());
  const ahead = createWayAhead(log);
  const others: Way[] = [
    { ...way, endpoint: { host: '127.0.0.1', port: 1 } },
    { ...way, identity: { ...way.identity, certificatePem: unknown.certificate.pem } },
  ];
  for (const other of others) {
    expect(await ahead.make(way, 'wan1', running)).toBe(true);
    expect(ahead.take(other)).toBeUndefined();
  }
  await expect.poll(() => accepted.every(({ destroyed }) => destroyed)).toBe(true);
});
