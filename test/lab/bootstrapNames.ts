/**
 * Owns a DNS server that knows one address for every name. Arguments: address to listen at, address to tell.
 */
import { createSocket } from 'node:dgram';

const [listen = '', told = ''] = process.argv.slice(2);
const socket = createSocket('udp4');
socket.on('message', (query, peer) => {
  // RFC 1035 4.1: the question is echoed; the answer points back at its name (offset 12).
  const end = query.indexOf(0, 12) + 5;
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8580, 2);
  header.writeUInt16BE(1, 6);
  header.writeUInt32BE(0, 8);
  const fixed = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
  const address = Buffer.from(told.split('.').map(Number));
  socket.send(Buffer.concat([header, query.subarray(12, end), fixed, address]), peer.port, peer.address);
});
socket.bind(53, listen, () => process.stdout.write('ready\n'));
