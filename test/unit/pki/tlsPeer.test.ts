/** Judging the other end of a TLS session by what it sent: a chain that goes on above what is believed. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { expect, it } from 'vitest';
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
