/**
 * Owns locks between processes of the host: an abstract unix socket that one process can be bound to, which the kernel
 * takes back when the process ends, however it does.
 */
import { createServer } from 'node:net';
import { BranchboxError } from '../model/errors.ts';
import type { LabPaths } from './paths.ts';

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

/** For making and removing a whole lab: two at once would take each other's nodes away. */
export async function lockLab({ lab, state }: LabPaths): Promise<Lock> {
  const lock = await tryLock(lockName(state));
  if (lock !== undefined) return lock;
  throw new BranchboxError('lab/busy', {
    message: `another branchbox lab up or lab down is at work on lab ${lab}`,
    mend: 'let it end, or end it; or take another name: --lab NAME',
  });
}
