/**
 * Owns the part of an agent that dials modems, on a message bus of a test: from what is asked of a modem to the lease and
 * the state that are told. Pauses are over at once, so that what follows them is seen, and their length is not.
 */
import { join } from 'node:path';
import { connectModemManager } from '../../src/agent/modemManager.ts';
import { createModemPins } from '../../src/agent/modemPins.ts';
import { createModems, type Modems } from '../../src/agent/modems.ts';
import type { Lease } from '../../src/model/facts.ts';
import type { ModemReason } from '../../src/model/localStatus.ts';
import { readLeases } from '../../src/system/leases.ts';
import { createFiles } from '../../src/system/linux/files.ts';
import { createLogger } from '../../src/system/linux/logger.ts';
import type { Clock } from '../../src/system/ports.ts';
import { noServices } from './noServices.ts';

export interface ModemBox {
  readonly modems: Modems;
  readonly logged: readonly string[];
  readonly started: readonly string[];
  /** Resolves when the first modem is said to be so. */
  become(reason: ModemReason): Promise<void>;
  leases(): Promise<readonly Lease[]>;
  /** Resolves in a pause; neither it nor one after it ends by itself. */
  holdPauses(): Promise<void>;
  /** As the box counts it: the sum of its pauses. */
  nowMs(): number;
  stop(): Promise<void>;
}

/** Its files and the bus's socket are in the directory. */
export async function startModemBox(
  directory: string,
  connect: Parameters<typeof createModems>[0]['connect'] = (on) =>
    connectModemManager({ socketPath: join(directory, 'bus'), uid: 0, ...on }),
): Promise<ModemBox> {
  const files = createFiles();
  const ending = new AbortController();
  const logged: string[] = [];
  const started: string[] = [];
  let nowMs = 1;
  let onHeld: (() => void) | undefined;
  let waiting: { readonly reason: ModemReason; readonly resolve: () => void }[] = [];
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: (durationMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) return reject(new Error('woken'));
        const timer = setImmediate(() => {
          if (onHeld !== undefined) return onHeld();
          nowMs += durationMs;
          resolve();
        });
        signal?.addEventListener('abort', () => {
          clearImmediate(timer);
          reject(new Error('woken'));
        });
      }),
  };
  const told = (): void => {
    const now = modems.statuses()[0]?.reason;
    for (const { resolve } of waiting.filter(({ reason }) => reason === now)) resolve();
    waiting = waiting.filter(({ reason }) => reason !== now);
  };
  const log = createLogger({ name: 'test', write: (line) => void logged.push(line) });
  const modems = createModems({
    system: {
      files,
      clock,
      log,
      services: { ...noServices, start: async (units) => void started.push(...units) },
    },
    leases: join(directory, 'leases'),
    pins: await createModemPins({ files, log }, join(directory, 'pins.json')),
    connect,
    onWays: told,
    onStates: told,
  });
  const run = modems.run(ending.signal);
  return {
    modems,
    logged,
    started,
    become: (reason) =>
      new Promise((resolve) => {
        waiting.push({ reason, resolve });
        told();
      }),
    leases: () => readLeases(files, join(directory, 'leases')),
    holdPauses: () =>
      new Promise((resolve) => {
        onHeld = resolve;
      }),
    nowMs: () => nowMs,
    async stop() {
      ending.abort();
      await run;
    },
  };
}
