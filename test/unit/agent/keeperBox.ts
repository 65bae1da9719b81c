/** A keeper of the desired state over real files, of a box that settles and is proved when the test says so. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { createDesiredKeeper, type DesiredParts } from '../../../src/agent/desiredState.ts';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { createTrialStore } from '../../../src/agent/trialStore.ts';
import type { Problem } from '../../../src/model/errors.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { NOW_MS } from '../pki/domain.ts';
import { ANCHORS, GATEWAY } from './signedState.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

/** Call once in a file: each test gets a directory of its own. */
export function useKeeperBoxes() {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'branchbox-test-'));
  });
  // Retried: the keeper may still be at its last file when a test has seen enough.
  afterEach(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));

  /** A box whose network settles and whose controller answers when the test says so. */
  async function box(change: Partial<DesiredParts> = {}) {
    const events: string[] = [];
    const settle = Promise.withResolvers<void>();
    const proof = Promise.withResolvers<void>();
    // Not every test waits for both.
    for (const { promise } of [settle, proof]) promise.catch(() => undefined);
    let problems: readonly Problem[] = [];
    const until = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
      Promise.race([
        work,
        new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      ]);
    const clock = change.clock ?? {
      nowMs: () => NOW_MS,
      monotonicMs: () => 0,
      sleep: () => new Promise<void>(() => {}),
    };
    const paths = { ...AGENT_PATHS, state: directory };
    const keeper = await createDesiredKeeper({
      store: createTrialStore(createFiles(), paths, log),
      identity: async () => ({ gatewayId: GATEWAY, anchors: ANCHORS, atMs: clock.nowMs() }),
      settle: (signal) => until(settle.promise, signal),
      problems: () => problems,
      wasSettled: () => true,
      onChange: () => {},
      onCommitted: () => {},
      prove: (signal) => until(proof.promise, signal),
      controllerAwayMs: () => 0,
      emit: (kind, subject) => events.push(`${kind} ${subject}`),
      clock,
      log,
      ...change,
    });
    return {
      keeper,
      events,
      settle: settle.resolve,
      prove: proof.resolve,
      fail(list: readonly Problem[]) {
        problems = list;
        proof.reject(new Error('no answer'));
        settle.reject(new Error('never'));
      },
    };
  }

  const files = () => readdir(directory);
  const finished = (keeper: Awaited<ReturnType<typeof box>>['keeper']) =>
    expect.poll(() => keeper.snapshot().trial).toBeUndefined();
  return { box, files, finished, directory: () => directory };
}
