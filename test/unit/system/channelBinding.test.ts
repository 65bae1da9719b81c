/** Channel bindings of real connections: one name at both ends, another for each connection, resumed ones too. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { channelBinding } from '../../../src/system/channelBinding.ts';
import { makeServerCredential } from '../controller/wire.ts';

const { tls } = makeServerCredential();
const server = createServer(tls);
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.close();
});

async function connection(version: 'TLSv1.2' | 'TLSv1.3', session?: Buffer) {
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'secureConnection');
  const client = connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
    session,
  });
  const ticket = once(client, 'session');
  const [other] = (await Promise.all([accepted, once(client, 'secureConnect')]))[0] as [TLSSocket];
  const resumable = client.isSessionReused() ? undefined : ((await ticket)[0] as Buffer);
  const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');
  const found = {
    isReused: client.isSessionReused(),
    atClient: text(channelBinding(client, 'client')),
    atServer: text(channelBinding(other, 'server')),
    finished: { ofClient: text(client.getFinished()), ofServer: text(client.getPeerFinished()) },
    resumable,
  };
  client.destroy();
  other.destroy();
  return found;
}

it.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: the same at both ends, never twice', async (version) => {
  const first = await connection(version);
  const resumed = await connection(version, first.resumable);
  expect([first.isReused, resumed.isReused]).toEqual([false, true]);
  expect(first.atServer).toBe(first.atClient);
  expect(resumed.atServer).toBe(resumed.atClient);
  expect(resumed.atClient).not.toBe(first.atClient);
  // RFC 5929 3.1: the first Finished. RFC 9266: 32 bytes.
  if (version === 'TLSv1.2') {
    expect([first.atClient, resumed.atClient]).toEqual([first.finished.ofClient, resumed.finished.ofServer]);
  } else {
    expect(first.atClient).toMatch(/^[\da-f]{64}$/);
  }
});
