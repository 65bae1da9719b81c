/**
 * Owns the signer's socket: a unix socket that its own user alone may open, HTTP on it, and its end.
 * Does not own what is answered (signer.ts).
 */
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import type { Clock, Files, Logger } from '../../system/ports.ts';
import { createRouteListener, SERVER_LIMITS } from '../keyholder/routes.ts';
import { openSignerKeys } from './keys.ts';
import { openRevocationLists } from './revocationLists.ts';
import { openRevokedForGood } from './revokedForGood.ts';
import { readOffered } from './rollover.ts';
import { readDropped } from './rolloverEnd.ts';
import { signerRoutes } from './signer.ts';

/** Listens until the signal aborts; resolves once the socket is gone. */
export async function serveSigner(options: {
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Logger;
  readonly directory: string;
  readonly socketPath: string;
  readonly signal: AbortSignal;
  readonly onListening?: () => void;
}): Promise<void> {
  const { files, clock, log, directory, socketPath, signal } = options;
  const keys = await openSignerKeys({ files, clock, directory });
  // Made before the first request asks, so that a broken state directory is told at the start.
  await Promise.all([keys.configurationSigning(), keys.owner()]);
  const revokedForGood = await openRevokedForGood({ files, clock, directory });
  const revocationLists = await openRevocationLists({
    files,
    clock,
    directory,
    issuer: keys.domainCa,
    forGood: revokedForGood.all,
    previous: () => keys.previous,
  });
  const offered = async () => {
    const present = await readOffered(files, directory);
    // The one before too, once it signs no more: who comes new learns it by the link to it. Dropped, it is offered no more.
    if (keys.previous !== undefined) return [...present, keys.previous.certificate];
    return [...present, ...keys.links];
  };
  const dropped = async () => (await readDropped({ files, directory })).ca;
  const { headersTimeout, requestTimeout, keepAliveTimeout, maxHeaderSize } = SERVER_LIMITS;
  const server = createServer(
    { headersTimeout, requestTimeout, keepAliveTimeout, maxHeaderSize },
    createRouteListener({
      routes: signerRoutes({ keys, revocationLists, revokedForGood, offered, dropped, clock, log }),
      log,
    }),
  );
  await mkdir(dirname(socketPath), { recursive: true });
  await removeStale(socketPath);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.on('close', resolve);
    // The mask is in force while listen() binds, within the same turn: no moment with another mode.
    const before = process.umask(0o177);
    server.listen({ path: socketPath }, () => {
      server.off('error', reject);
      // accept(2) failed, for want of descriptors or memory: the next one need not.
      server.on('error', (error) => log.error('the signer took no connection', { error }));
      log.info('signer is listening', { socketPath, domainCa: keys.domainCa.certificate.fingerprintSha256 });
      options.onListening?.();
    });
    process.umask(before);
    const stop = (): void => {
      server.close();
      server.closeAllConnections();
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

/** A socket that a killed signer left behind is removed; one that answers is another signer's. */
async function removeStale(socketPath: string): Promise<void> {
  const answers = await new Promise<boolean>((resolve) => {
    const socket = connect(socketPath);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
  if (answers) {
    throw new BranchboxError('controller/conflict', {
      message: `Another signer is listening on ${socketPath}`,
      mend: 'stop it first: two of them over one state directory would overwrite each other',
    });
  }
  await rm(socketPath, { force: true });
}
