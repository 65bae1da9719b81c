/** A part as a box fetches it of what its controller hands out with, over a real connection: at a rate in pieces, and on after a cut. */
import { once } from 'node:events';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { serveBytes } from '../../../src/controller/serveBytes.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createDeviceClient } from '../../../src/system/deviceClient.ts';
import { createControllerSource } from '../../../src/update/controllerSource.ts';
import { sha256 } from '../../fakes/firmwareVersion.ts';
import { issue, makeCa } from '../pki/domain.ts';

const validity = { notBeforeMs: Date.now() - 86_400_000, notAfterMs: Date.now() + 86_400_000 };
const ca = makeCa('Device API', validity);
const own = issue(
  ca,
  { kind: 'server', commonName: 'c', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] },
  validity,
);
const box = issue(ca, { kind: 'ldevid', gatewayId: 'branch1' }, validity);
const BYTES = Buffer.from(Array.from({ length: 20_000 }, (_, index) => (index * 31) & 0xff));
const part = { role: 'root', file: 'x.root', sizeBytes: BYTES.length, sha256: sha256(BYTES) } as const;

let directory: string;
let server: Server;
/** What was read of it for whoever asked, first and last byte. */
let opened: string[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-ranges-'));
  const path = join(directory, 'part');
  writeFileSync(path, BYTES);
  opened = [];
  server = createServer(
    { key: exportPrivateKey(own.key).reveal(), cert: own.certificate.pem },
    (request, response) =>
      void serveBytes(
        {
          sizeBytes: BYTES.length,
          mediaType: 'application/octet-stream',
          open(range) {
            opened.push(`${range.start}-${range.end}`);
            return createReadStream(path, range);
          },
        },
        request,
        response,
      ),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

async function fetched(fromBytes: number, pieceBytes: number | undefined) {
  const { port } = server.address() as AddressInfo;
  const source = createControllerSource(
    createDeviceClient({
      server: () => ({ host: '127.0.0.1', port }),
      credentials: async () => ({
        key: exportPrivateKey(box.key),
        certificatePem: box.certificate.pem,
        anchorPem: ca.certificate.pem,
      }),
      dialer: {
        async connectTls({ host, tls }) {
          const socket = connect({ host, port, ...tls });
          await once(socket, 'secureConnect');
          return { socket, uplink: { ifname: 'lo', address: '127.0.0.1', dns: [] } };
        },
      },
    }),
  );
  const { skipBytes, chunks } = await source.open(part, fromBytes, new AbortController().signal, pieceBytes);
  const came: Uint8Array[] = [];
  for await (const chunk of chunks) came.push(chunk);
  return { skipBytes, rest: Buffer.concat(came) };
}

it.each([
  ['whole', 0, undefined, ['0-19999']],
  ['on after a cut', 8000, undefined, ['8000-19999']],
  ['at a rate, a piece at a time', 0, 8000, ['0-7999', '8000-15999', '16000-19999']],
  ['at a rate on after a cut, and nothing of it twice', 8000, 8000, ['8000-15999', '16000-19999']],
  ['at a rate that is all of it at once', 0, 30_000, ['0-19999']],
] as const)('comes %s', async (_what, fromBytes, pieceBytes, asked) => {
  const { skipBytes, rest } = await fetched(fromBytes, pieceBytes);
  expect(opened).toEqual(asked);
  expect([skipBytes, rest.equals(BYTES.subarray(fromBytes))]).toEqual([0, true]);
});
