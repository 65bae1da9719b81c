/**
 * The keeper of the desired state over real files, held against restarts, verdicts and messages that must be
 * refused.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDesiredKeeper, type DesiredParts } from '../../../src/agent/desiredState.ts';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { createTrialStore, decodeHeld, digestOf } from '../../../src/agent/trialStore.ts';
import type { Problem } from '../../../src/model/errors.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { NOW_MS } from '../pki/domain.ts';
import { ANCHORS, desired, GATEWAY, signed } from './signedState.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
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
  const paths = { ...AGENT_PATHS, state: directory };
  const keeper = await createDesiredKeeper({
    store: createTrialStore(createFiles(), paths, log),
    identity: async () => ({ gatewayId: GATEWAY, anchors: ANCHORS }),
    settle: (signal) => until(settle.promise, signal),
    problems: () => problems,
    wasSettled: () => true,
    onChange: () => {},
    onCommitted: () => {},
    prove: (signal) => until(proof.promise, signal),
    controllerAwayMs: () => 0,
    emit: (kind, subject) => events.push(`${kind} ${subject}`),
    clock: { nowMs: () => NOW_MS, monotonicMs: () => 0, sleep: () => new Promise(() => {}) },
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

describe('a new desired state', () => {
  it('is journalled, tried, proved and then committed', async () => {
    const one = await box();
    const jws = signed(desired(1));
    await one.keeper.offer(jws);
    expect(await files()).toEqual(['trial.json']);
    expect(one.keeper.snapshot().trial).toMatchObject({ epoch: 1, generation: 1, digest: digestOf(jws) });
    expect(one.keeper.spec()?.vtep).toBe('10.255.0.11');
    one.settle();
    one.prove();
    await finished(one.keeper);
    expect(await files()).toEqual(['committed.jws']);
    expect(one.keeper.snapshot()).toEqual({ committed: { epoch: 1, generation: 1, digest: digestOf(jws) } });
    expect(one.events).toEqual(['desired-received 1/1', 'desired-committed 1/1']);
    // Comes again with every connection.
    await one.keeper.offer(jws);
    expect(one.events).toHaveLength(2);
  });

  it('is taken back where the controller does not answer, and not tried again', async () => {
    const one = await box();
    const jws = signed(desired(1));
    await one.keeper.offer(jws);
    one.settle();
    one.fail([]);
    await finished(one.keeper);
    expect(one.keeper.spec()).toBeUndefined();
    expect(await files()).toEqual(['rolled-back.json']);
    await one.keeper.offer(jws);
    expect(one.keeper.snapshot()).toMatchObject({
      refused: { reason: 'rolled-back', digest: digestOf(jws) },
    });
    // Nor by the next process.
    const next = await box();
    await next.keeper.offer(jws);
    expect(next.keeper.snapshot().refused?.reason).toBe('rolled-back');
    await next.keeper.offer(signed(desired(2)));
    expect(next.keeper.snapshot().trial?.generation).toBe(2);
  });

  it('is taken back with what is wrong where the box does not become as described', async () => {
    const one = await box();
    await one.keeper.offer(signed(desired(1)));
    one.fail([{ path: 'link:br-1', message: 'no such device' }]);
    await finished(one.keeper);
    expect(one.keeper.snapshot().refused?.problems[0]?.message).toContain('link:br-1: no such device');
  });

  it('gives way to a newer one without a verdict', async () => {
    const one = await box();
    await one.keeper.offer(signed(desired(1)));
    await one.keeper.offer(signed(desired(2)));
    one.settle();
    one.prove();
    await finished(one.keeper);
    expect(one.keeper.snapshot().committed?.generation).toBe(2);
    expect(await files()).toEqual(['committed.jws']);
  });

  it('is back at the committed one after a restart in a trial', async () => {
    const first = await box();
    const good = signed(desired(1));
    await first.keeper.offer(good);
    first.settle();
    first.prove();
    await finished(first.keeper);
    const second = await box();
    const cut = signed(desired(2));
    await second.keeper.offer(cut);
    expect(second.keeper.snapshot().trial?.generation).toBe(2);
    const third = await box();
    expect(third.keeper.snapshot()).toMatchObject({
      committed: { generation: 1 },
      refused: { reason: 'rolled-back', generation: 2 },
    });
    await third.keeper.offer(cut);
    expect(third.keeper.snapshot().trial).toBeUndefined();
  });

  it('is tried again after a restart where nothing was committed yet, three times', async () => {
    const jws = signed(desired(1));
    for (let start = 1; start <= 3; start += 1) {
      const one = await box();
      await one.keeper.offer(jws);
      expect(one.keeper.snapshot().trial?.generation).toBe(1);
    }
    const last = await box();
    await last.keeper.offer(jws);
    expect(last.keeper.snapshot().trial).toBeUndefined();
    expect(last.keeper.snapshot().refused?.reason).toBe('rolled-back');
  });

  it('that failed is tried again by itself where nothing is committed yet, two minutes after each failure', async () => {
    let nowMs = NOW_MS;
    let tries = 0;
    let answers = false;
    const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
    const one = await box({
      settle: async () => undefined,
      prove: async () => {
        tries += 1;
        if (!answers) throw new Error('no answer');
      },
      clock: {
        nowMs: () => nowMs,
        monotonicMs: () => 0,
        sleep: async (ms) => {
          nowMs += ms;
          answers ||= tries === 3;
          await turn();
        },
      },
    });
    const stop = new AbortController();
    const running = one.keeper.run(stop.signal);
    await one.keeper.offer(signed(desired(1)));
    await expect.poll(() => one.keeper.snapshot().committed?.generation).toBe(1);
    stop.abort();
    await running;
    expect(tries).toBe(4);
    expect(nowMs - NOW_MS).toBeGreaterThanOrEqual(3 * 120_000);
  });

  it('has more time on a box that was not up since it started', async () => {
    const first = await box();
    const timeOf = (one: typeof first): number => (one.keeper.snapshot().trial?.endsAtMs ?? 0) - NOW_MS;
    await first.keeper.offer(signed(desired(1)));
    expect(timeOf(first)).toBe(180_000);
    first.settle();
    first.prove();
    await finished(first.keeper);
    await first.keeper.offer(signed(desired(2)));
    expect(timeOf(first)).toBe(50_000);
    const starting = await box({ wasSettled: () => false });
    await starting.keeper.offer(signed(desired(3)));
    expect(timeOf(starting)).toBe(180_000);
  });

  it('knows after a restart that it was committed just before', async () => {
    const first = await box();
    const jws = signed(desired(1));
    await first.keeper.offer(jws);
    const journal = await readFile(join(directory, 'trial.json'), 'utf8');
    first.settle();
    first.prove();
    await finished(first.keeper);
    await createFiles().writeDurable(join(directory, 'trial.json'), journal);
    const next = await box();
    expect(next.keeper.snapshot().committed?.generation).toBe(1);
    expect(next.keeper.snapshot().refused).toBeUndefined();
    expect(await files()).toEqual(['committed.jws']);
  });
});

describe('what is refused, with nothing changed', () => {
  const spec = desired(1).spec;
  it.each([
    ['another box', signed(desired(1, { gatewayId: 'branch2' })), 'other-box', '$.gatewayId'],
    ['a signer of another domain', signed(desired(1), 'stranger'), 'untrusted', '$signature'],
    ['a certificate that may not sign', signed(desired(1), 'ldevid'), 'untrusted', '$signature'],
    ['what is no JWS', 'no.jws', 'malformed', '$signature'],
    ['a time to come', signed(desired(1, { notBefore: NOW_MS + 60_000 })), 'not-yet', '$.notBefore'],
    [
      'a field that is off',
      signed({ ...desired(1), spec: { ...spec, vtep: '1.2.3' } }),
      'malformed',
      '$.spec.vtep',
    ],
    ['a field of another schema', signed({ ...desired(1), extra: 1 }), 'malformed', '$.extra'],
  ])('%s', async (_, jws, reason, path) => {
    const one = await box();
    await one.keeper.offer(jws);
    expect(one.keeper.snapshot()).toMatchObject({ refused: { reason } });
    expect(one.keeper.snapshot().refused?.problems.map((problem) => problem.path)).toContain(path);
    expect(one.keeper.spec()).toBeUndefined();
    expect(await files()).toEqual([]);
    await one.keeper.offer(jws);
    expect(one.events).toHaveLength(1);
  });

  it('names every problem at once', async () => {
    const one = await box();
    await one.keeper.offer(signed({ ...desired(1), spec: { ...spec, vtep: 'x', site: 'NO', uplinks: [] } }));
    const paths = one.keeper.snapshot().refused?.problems.map((problem) => problem.path);
    expect(paths).toEqual(expect.arrayContaining(['$.spec.vtep', '$.spec.site', '$.spec.uplinks']));
  });

  it('an older generation, and another of the same, after a commit', async () => {
    const one = await box();
    await one.keeper.offer(signed(desired(5)));
    one.settle();
    one.prove();
    await finished(one.keeper);
    for (const stale of [desired(4), desired(5, { notBefore: 1 })]) {
      await one.keeper.offer(signed(stale));
      expect(one.keeper.snapshot()).toMatchObject({
        refused: { reason: 'stale' },
        committed: { generation: 5 },
      });
      expect(one.keeper.snapshot().refused?.problems[0]?.path).toBe('$.generation');
    }
    // A restored controller raises its epoch.
    await one.keeper.offer(signed(desired(1, { epoch: 2 })));
    expect(one.keeper.snapshot().trial).toMatchObject({ epoch: 2, generation: 1 });
  });
});

describe('a desired state of another version of the firmware', () => {
  const later = (generation: number): object => {
    const state = desired(generation);
    return { ...state, spec: { ...state.spec, telepathy: { range: 3 } } };
  };

  it('is refused by each thing that is not known, told once, and nothing changes', async () => {
    const one = await box();
    await one.keeper.offer(signed(desired(1)));
    one.settle();
    one.prove();
    await finished(one.keeper);
    const before = one.keeper.snapshot().committed;
    for (const [state, path] of [
      [later(2), '$.spec.telepathy'],
      [{ ...desired(2), schema: 2 }, '$.schema'],
    ] as const) {
      const jws = signed(state);
      await one.keeper.offer(jws);
      await one.keeper.offer(jws);
      expect(one.keeper.snapshot()).toMatchObject({
        committed: before,
        refused: { reason: 'malformed', problems: [{ path }] },
      });
      expect(one.keeper.spec()).toEqual(desired(1).spec);
    }
    expect(one.events.filter((event) => event.startsWith('desired-refused'))).toHaveLength(2);
  });

  it('that a newer version committed on its trial gives way to what was before', async () => {
    const paths = { ...AGENT_PATHS, state: directory, firmware: join(directory, 'firmware') };
    const store = createTrialStore(createFiles(), paths, log);
    const jws = signed(desired(1));
    await store.commit(decodeHeld(jws, 'a test'));
    await store.putCommittedAside();
    // The newer version's agent can read it, and held to it until it was taken back.
    await createFiles().writeDurable(join(directory, 'committed.jws'), signed(later(2)));
    expect((await store.readCommitted())?.id.generation).toBe(1);
    // A state that this version can read is always the later one.
    await store.commit(decodeHeld(signed(desired(3)), 'a test'));
    expect((await store.readCommitted())?.id.generation).toBe(3);
  });
});
