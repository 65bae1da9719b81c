/** A kept connection to a key-holding process: used again, and no call is lost to a peer that closed it meanwhile. */
import { once } from 'node:events';
import { Agent, createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { callJson, type CallOptions } from '../../../src/controller/keyholder/call.ts';
import { z } from 'zod';

let server: Server;
let connections: Socket[];
let agent: Agent;
let options: CallOptions;
/** Ends the connection as the next request comes, as a peer does that closed it at that moment. */
let cutNext: boolean;

beforeEach(async () => {
  connections = [];
  cutNext = false;
  server = createServer((request, response) => {
    if (cutNext) {
      cutNext = false;
      request.socket.destroy();
      return;
    }
    response.end('{}');
  });
  server.on('connection', (socket: Socket) => connections.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  agent = new Agent({ keepAlive: true });
  const { port } = server.address() as AddressInfo;
  options = { tls: false, peer: 'manufacturer', target: { host: '127.0.0.1', port }, agent };
});
afterEach(() => {
  agent.destroy();
  server.closeAllConnections();
  server.close();
});
const ask = () => callJson(options, { method: 'GET', path: '/' }, z.object({}));

it('is used again', async () => {
  for (let i = 0; i < 3; i += 1) await ask();
  expect(connections).toHaveLength(1);
});

it('that ends under a call is replaced by a new one, once', async () => {
  await ask();
  cutNext = true;
  await ask();
  expect(connections).toHaveLength(2);
});

it('that is new and ends is a peer that does not answer', async () => {
  cutNext = true;
  await expect(ask()).rejects.toMatchObject({ code: 'controller/unreachable' });
});
