/**
 * Owns a DNS server that knows one address for every name, IPv4 or IPv6, and nothing of the other family. Arguments:
 * address to listen at, address to tell; where DNS-SD is to list a service, its domain, host and port.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

const [listen = '', told = '', domain = '', host = '', port = '0'] = process.argv.slice(2);
const TYPE = isIPv6(told) ? 28 : 1;
const ADDRESS = isIPv6(told) ? bytesOf6(told) : Buffer.from(told.split('.').map(Number));
const socket = createSocket(isIPv6(listen) ? 'udp6' : 'udp4');
socket.on('message', (query, peer) => {
  // RFC 1035 4.1: the question is echoed; the answer points back at its name (offset 12).
  const end = query.indexOf(0, 12) + 5;
  const type = query.readUInt16BE(end - 4);
  const data = dataOf(type, query.subarray(12, end - 4));
  const known = data !== undefined;
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8580, 2);
  header.writeUInt16BE(known ? 1 : 0, 6);
  header.writeUInt32BE(0, 8);
  const fixed = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data?.length ?? 0]);
  const answer = data === undefined ? [] : [fixed, data];
  socket.send(Buffer.concat([header, query.subarray(12, end), ...answer]), peer.port, peer.address);
});
socket.bind(53, listen, () => process.stdout.write('ready\n'));

/** RFC 1035 3.3.12, RFC 2782: the service has one instance, and that is at `host:port`. */
function dataOf(type: number, name: Buffer): Buffer | undefined {
  if (type === TYPE) return ADDRESS;
  const service = wireName(`_sztp._tcp.${domain}`);
  const instance = Buffer.concat([wireName('head-office').subarray(0, -1), service]);
  if (type === 12 && name.equals(service)) return instance;
  const numbers = Buffer.from([0, 1, 0, 1, Number(port) >> 8, Number(port) & 255]);
  return type === 33 && name.equals(instance) ? Buffer.concat([numbers, wireName(host)]) : undefined;
}

function wireName(name: string): Buffer {
  const labels = name.split('.').filter(Boolean);
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]),
    Buffer.from([0]),
  ]);
}

/** With one `::` in it. */
function bytesOf6(address: string): Buffer {
  const [head = [], tail = []] = address.split('::').map((part) => part.split(':').filter(Boolean));
  const words = [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  return Buffer.from(
    words.flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 255]),
  );
}
