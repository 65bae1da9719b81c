/** Owns an accept(2) that fails, as a kernel without memory or descriptors has it, of servers that a test does not hold. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Server, Socket } from 'node:net';

/** Of each server that accepts a connection while `ask` runs. Throws where the server has nobody who takes it, as Node does. */
export async function failAccept(ask: () => Promise<unknown>): Promise<void> {
  const servers = new Set<Server>();
  const onSocket = (message: unknown): void => {
    const socket: unknown =
      typeof message === 'object' && message !== null && 'socket' in message && message.socket;
    if (socket instanceof Socket && 'server' in socket && socket.server instanceof Server)
      servers.add(socket.server);
  };
  subscribe('net.server.socket', onSocket);
  try {
    await ask();
  } finally {
    unsubscribe('net.server.socket', onSocket);
  }
  if (servers.size === 0) throw new Error('nobody accepted a connection');
  for (const server of servers) {
    server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE', syscall: 'accept' }));
  }
}
