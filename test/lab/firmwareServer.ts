/**
 * Owns a real HTTPS server that hands the parts of a release out by ranges, under mutual TLS, and drops connections.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { exportPrivateKey } from '../../src/pki/keys.ts';
import { makeAuthority, type Release } from './firmwareRelease.ts';
import type { UpdaterInput } from './firmwareUpdater.ts';

export interface FirmwareServer {
  readonly from: UpdaterInput['from'];
  /** As asked for, one a request. */
  readonly ranges: (string | undefined)[];
  stop(): void;
}

export async function serveRelease(
  { manifest, parts }: Release,
  jws: string,
  /** Bytes after which a connection is dropped, by its number; undefined: none. */
  dropAfter: (connection: number) => number | undefined,
): Promise<FirmwareServer> {
  const tls = makeAuthority();
  const ranges: (string | undefined)[] = [];
  const own = tls.issue({
    kind: 'server',
    commonName: 'controller',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
  });
  const client = tls.issue({ kind: 'ldevid', gatewayId: 'branch1' });
  const server: Server = createServer(
    {
      key: exportPrivateKey(own.key).reveal(),
      cert: own.certificate.pem,
      ca: tls.ca.certificate.pem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      const digest = /^\/v1\/firmware\/([0-9a-f]{64})$/.exec(request.url ?? '')?.[1];
      const part = manifest.parts.find((one) => one.sha256 === digest);
      if (part === undefined) return void response.writeHead(404).end();
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      ranges.push(request.headers.range);
      const bytes = parts[part.role].subarray(start);
      response.writeHead(start > 0 ? 206 : 200, {
        'Content-Length': bytes.length,
        ...(start > 0 ? { 'Content-Range': `bytes ${start}-${part.sizeBytes - 1}/${part.sizeBytes}` } : {}),
      });
      const limit = dropAfter(ranges.length - 1);
      if (limit === undefined || limit >= bytes.length) return void response.end(bytes);
      response.write(bytes.subarray(0, limit), () => response.destroy());
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    ranges,
    from: {
      port: address.port,
      manifest: jws,
      key: exportPrivateKey(client.key).reveal(),
      certificate: client.certificate.pem,
      anchor: tls.ca.certificate.pem,
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
