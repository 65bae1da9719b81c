/**
 * Owns a signer of its own for a test file: its directory, its socket, started before the tests and stopped after them.
 * Does not own what is asked of it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { createSignerClient, type SignerClient } from '../../../src/controller/signer/client.ts';
import { serveSigner } from '../../../src/controller/signer/server.ts';
import type { DesiredState } from '../../../src/model/desired.ts';
import { generateKeyPair } from '../../../src/pki/keys.ts';
import { createRequest } from '../../../src/pki/request.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { BARE_BRANCH } from '../model/bareBranch.ts';

export interface RunningSigner {
  readonly directory: string;
  readonly state: string;
  readonly socketPath: string;
  client(): SignerClient;
  /** Throws what the signer ended with where it does not come up. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Called at the top of a test file; what it returns is there once the tests run. */
export function useSigner(): RunningSigner {
  let directory = '';
  let stop = async (): Promise<void> => undefined;
  const signer: RunningSigner = {
    get directory() {
      return directory;
    },
    get state() {
      return join(directory, 'state');
    },
    get socketPath() {
      return join(directory, 'run', 'signer.sock');
    },
    client: () => createSignerClient({ socketPath: signer.socketPath }),
    async start() {
      const ending = new AbortController();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const served = serveSigner({
        files: createFiles(),
        clock: createClock(),
        log: createLogger({ name: 'signer', write: () => {} }),
        directory: signer.state,
        socketPath: signer.socketPath,
        signal: ending.signal,
        onListening: resolve,
      });
      served.catch(reject);
      await promise;
      stop = async () => {
        ending.abort();
        await served;
      };
    },
    stop: () => stop(),
  };
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bbt-signer-'));
    await signer.start();
  });
  afterAll(async () => {
    await signer.stop();
    await rm(directory, { recursive: true });
  });
  return signer;
}

export const pair = generateKeyPair();
export const csr = createRequest({ key: pair.privateKey, commonName: 'somebody-else' });

export const DESIRED: DesiredState = {
  schema: 1,
  gatewayId: 'branch1',
  epoch: 1,
  generation: 2,
  notBefore: 0,
  spec: BARE_BRANCH,
};
