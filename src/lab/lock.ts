/**
 * Owns locks between processes of the host: an abstract unix socket that one process can be bound to, which the kernel
 * takes back when the process ends, however it does. Whoever waits for one is connected to it: told who holds it, and
 * that it is free by the connection's end.
 */
import { connect, createServer, type Socket } from 'node:net';
import { BranchboxError } from '../model/errors.ts';
import { oneLineOf } from '../model/foreignText.ts';
import type { LabPaths } from './paths.ts';

export interface Lock {
  release(): Promise<void>;
}

/** An abstract name has no owner: anybody on the machine may hold it, and say what they like. */
const MAX_HOLDER_CHARACTERS = 400;

/** Abstract names have 107 bytes; a path of a lab fits. */
export const lockName = (path: string): string => `\0branchbox-lock:${path}`;

/** undefined where another process, or this one, holds it. `holder`: what whoever waits is told. */
export function tryLock(name: string, holder = ''): Promise<Lock | undefined> {
  return new Promise((resolve, reject) => {
    const waiting = new Set<Socket>();
    const server = createServer((socket) => {
      waiting.add(socket);
      socket.unref();
      // One that waits no more.
      socket.on('error', () => {});
      socket.on('close', () => waiting.delete(socket));
      socket.write(`${holder}\n`);
    });
    server.unref();
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    const release = (): Promise<void> =>
      new Promise((done) => {
        server.close(() => done());
        for (const socket of waiting) socket.destroy();
      });
    server.listen(name, () => resolve({ release }));
  });
}

/** As tryLock(), and waits where another holds it, which `onWait` is told once for each that does. */
export async function waitForLock(
  name: string,
  holder: string,
  onWait: (holder: string) => void,
): Promise<Lock> {
  for (;;) {
    const lock = await tryLock(name, holder);
    if (lock !== undefined) return lock;
    await untilReleased(name, onWait);
  }
}

function untilReleased(name: string, onWait: (holder: string) => void): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(name);
    let said: string | undefined = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      if (said === undefined) return;
      said += text;
      if (!said.includes('\n') && said.length < MAX_HOLDER_CHARACTERS) return;
      onWait(oneLineOf(said.split('\n', 1)[0] ?? '', MAX_HOLDER_CHARACTERS));
      said = undefined;
    });
    // Gone in the meantime, or killed.
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });
}

/** For making and removing a whole lab: two at once would take each other's nodes away. */
export async function lockLab({ lab, state }: LabPaths): Promise<Lock> {
  const lock = await tryLock(lockName(state));
  if (lock !== undefined) return lock;
  throw new BranchboxError('lab/busy', {
    message: `another branchbox lab up or lab down is at work on lab ${lab}`,
    mend: 'let it end, or end it; or take another name: --lab NAME',
  });
}
