/** Judging the other end of a TLS session by what it sent: a chain that goes on above what is believed. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { expect, it } from 'vitest';
import { strictPeer } from '../../../src/bootstrap/peer.ts';
import { type Certificate, toPem } from '../../../src/pki/certificate.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { judgeTlsPeer } from '../../../src/pki/tlsPeer.ts';
import { DAY_MS, hasOpenssl, issue, makeCa, oldRootAbove, serverNamed } from './domain.ts';

/** The TLS library knows no time but the machine's. */
const VALIDITY = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };

it.runIf(hasOpenssl)(
  'a server that sends a root as nothing here can use one is believed by its CA',
  async () => {
    const ca = makeCa('Domain', VALIDITY);
    const profile = serverNamed('localhost');
    const { key, certificate } = issue(ca, profile, VALIDITY);
    const server = createServer({
      key: exportPrivateKey(key).reveal(),
      cert: certificate.pem + oldRootAbove(ca),
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: ca.certificate.pem });
    try {
      await once(socket, 'secureConnect');
      const by = { host: 'localhost', who: 'it', anchors: [ca.certificate], atMs: Date.now() };
      const chain = await judgeTlsPeer(socket, by);
      expect(chain.map(({ fingerprintSha256 }) => fingerprintSha256)).toEqual(
        [certificate, ca.certificate].map(({ fingerprintSha256 }) => fingerprintSha256),
      );
      const strange = { ...by, anchors: [makeCa('Domain', VALIDITY).certificate] };
      await expect(judgeTlsPeer(socket, strange)).rejects.toMatchObject({ code: 'pki/untrusted' });
    } finally {
      socket.destroy();
      server.close();
    }
  },
);

it.each<readonly [string, readonly ('root' | 'upper' | 'lower')[]]>([
  ['order', ['lower', 'upper']],
  ['order, and the root', ['lower', 'upper', 'root']],
  ['another order', ['upper', 'lower']],
  ['another order, and the root', ['root', 'upper', 'lower']],
])('a bootstrap server is believed by its sub CAs in %s', async (_, sent) => {
  const root = makeCa('Domain', VALIDITY);
  const upper = issue(root, { kind: 'ca', commonName: 'Upper' }, VALIDITY);
  const lower = issue(upper, { kind: 'ca', commonName: 'Lower' }, VALIDITY);
  const { key, certificate } = issue(lower, serverNamed('localhost'), VALIDITY);
  const above = { root, upper, lower };
  const cert = toPem([certificate, ...sent.map((name) => above[name].certificate)]);
  const server = createServer({ key: exportPrivateKey(key).reveal(), cert });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: root.certificate.pem });
  try {
    await once(socket, 'secureConnect');
    let proved: readonly Certificate[] = [];
    const onProved = (chain: readonly Certificate[]): void => void (proved = chain);
    const peer = strictPeer({ anchors: [root.certificate], nowMs: Date.now, onProved });
    await peer.judge(socket, { host: 'localhost', port });
    expect(proved.map(({ subject }) => subject.commonName)).toEqual([
      'localhost',
      'Lower',
      'Upper',
      'Domain',
    ]);
  } finally {
    socket.destroy();
    server.close();
  }
});
