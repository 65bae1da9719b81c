/**
 * Owns locks between processes of the host: an abstract unix socket that one process can be bound to, which the kernel
 * takes back when the process ends, however it does.
 */
import { createServer } from 'node:net';

export interface Lock {
  release(): Promise<void>;
}

/** Abstract names have 107 bytes; a path of a lab fits. */
export const lockName = (path: string): string => `\0branchbox-lock:${path}`;

/** undefined where another process, or this one, holds it. */
export function tryLock(name: string): Promise<Lock | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.unref();
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => resolve({ release: () => new Promise((done) => server.close(() => done())) }));
  });
}
