/**
 * Owns the peer of the storm: how many handshakes of mutual TLS this machine can do at all, by a server that does nothing
 * else and one process of clients. Entry: `server PORT` or `client PORT COUNT`, where a directory is; prints one number.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';

const [role = '', directory = '', portText = '', countText = '0'] = process.argv.slice(2);
const port = Number(portText);
const ADDRESS = '127.0.0.1';
/** Enough to keep both cores at work. */
const TOGETHER = 64;
const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
// The factory identity of a box at both ends: P-256, as everywhere here.
const identity = { key: read('idevid.key'), cert: read('idevid.crt'), ca: read('chain.pem') };

if (role === 'server') {
  const server = createServer(
    { ...identity, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' },
    (socket) => {
      socket.on('error', () => undefined);
      socket.end('.');
    },
  );
  server.listen(port, ADDRESS, 4096, () => process.stdout.write('ready\n'));
} else {
  const count = Number(countText);
  let begun = 0;
  const one = async (): Promise<void> => {
    while (begun < count) {
      begun += 1;
      await new Promise<void>((resolve, reject) => {
        const socket: TLSSocket = connect({ host: ADDRESS, port, ...identity, rejectUnauthorized: false });
        socket.on('error', reject);
        // The server's word proves that it took the client's certificate, which TLS 1.3 does not say by itself.
        socket.on('data', () => undefined);
        socket.on('end', () => socket.end());
        socket.on('close', () => resolve());
      });
    }
  };
  const startedAtMs = performance.now();
  await Promise.all(Array.from({ length: TOGETHER }, one));
  const perSecond = (count / (performance.now() - startedAtMs)) * 1000;
  process.stdout.write(`rate ${perSecond}\n`);
}
