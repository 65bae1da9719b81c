/**
 * Owns the server of the bench flood: the gate of handshakes as the controller has it, before a server that says one word.
 * Entry of a process of its own; tells its port.
 */
import { createServer } from 'node:https';
import { createHandshakeGate } from '../../src/controller/handshakeGate.ts';
import { HANDSHAKES } from '../../src/controller/servers.ts';
import { exportPrivateKey } from '../../src/pki/keys.ts';
import { createClock } from '../../src/system/linux/clock.ts';
import { issue, makeCa, serverNamed } from '../unit/pki/domain.ts';

const profile = serverNamed('localhost');
const { key, certificate } = issue(makeCa('Flood'), profile);
const tls = { key: exportPrivateKey(key).reveal(), cert: certificate.pem, pauseOnConnect: true };
// As exchange.ts: whoever had his turn and said nothing is closed some time later.
const server = createServer({ ...tls, handshakeTimeout: 15_000 }, (_request, response) =>
  response.end('hello'),
);
createHandshakeGate({ clock: createClock(), ...HANDSHAKES }).guard(server);
server.on('clientError', (_error, socket) => socket.destroy());
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const address = server.address();
  process.send?.(typeof address === 'object' && address !== null ? address.port : 0);
});
