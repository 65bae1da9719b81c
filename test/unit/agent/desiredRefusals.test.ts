/** What the keeper of the desired state must refuse, with nothing changed and every problem named. */
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { createTrialStore, decodeHeld } from '../../../src/agent/trialStore.ts';
import { DESIRED_MAX_BYTES } from '../../../src/model/desired.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { NOW_MS } from '../pki/domain.ts';
import { desired, signed } from './signedState.ts';
import { useKeeperBoxes } from './keeperBox.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
const { box, files, finished, directory } = useKeeperBoxes();

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

  it('forgets none that waits for its time over a message that is refused', async () => {
    let nowMs = NOW_MS;
    const clock = { nowMs: () => nowMs, monotonicMs: () => 0, sleep: () => new Promise<void>(() => {}) };
    const one = await box({ clock });
    await one.keeper.offer(signed(desired(2, { notBefore: NOW_MS + 100 })));
    for (const refused of ['no.jws', signed(desired(1), 'stranger')]) await one.keeper.offer(refused);
    nowMs += 100;
    await expect.poll(() => one.keeper.snapshot().trial).toMatchObject({ generation: 2 });
  });

  it('does not try what waited for its time once the held state was published in its place', async () => {
    const clock = { nowMs: () => NOW_MS, monotonicMs: () => 0, sleep: () => new Promise<void>(() => {}) };
    const one = await box({ clock });
    const held = signed(desired(1));
    await one.keeper.offer(held);
    one.settle();
    one.prove();
    await finished(one.keeper);
    vi.useFakeTimers();
    try {
      await one.keeper.offer(signed(desired(2, { notBefore: NOW_MS + 100 })));
      expect(vi.getTimerCount()).toBe(1);
      await one.keeper.offer(held);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
    expect(one.keeper.snapshot().refused).toMatchObject({ reason: 'not-yet', overAtMs: NOW_MS });
  });

  it('names every problem at once', async () => {
    const one = await box();
    await one.keeper.offer(signed({ ...desired(1), spec: { ...spec, vtep: 'x', site: 'NO', uplinks: [] } }));
    const paths = one.keeper.snapshot().refused?.problems.map((problem) => problem.path);
    expect(paths).toEqual(expect.arrayContaining(['$.spec.vtep', '$.spec.site', '$.spec.uplinks']));
  });

  it('says of what is larger than its cap only that', async () => {
    const one = await box();
    await one.keeper.offer(signed({ ...desired(1), extra: 'x'.repeat(DESIRED_MAX_BYTES) }));
    expect(one.keeper.snapshot().refused).toMatchObject({
      reason: 'malformed',
      problems: [{ path: '$', message: `is larger than ${DESIRED_MAX_BYTES} bytes` }],
    });
  });

  it('names what is off in the header of its signature', async () => {
    const [, ...rest] = signed(desired(1)).split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'none', crit: ['b64'], x5c: [] })).toString('base64url');
    const one = await box();
    await one.keeper.offer([header, ...rest].join('.'));
    const paths = one.keeper.snapshot().refused?.problems.map((problem) => problem.path);
    expect(paths).toEqual(expect.arrayContaining(['$signature.alg', '$signature.crit', '$signature.x5c']));
  });

  it('an older generation, and another of the same, after a commit', async () => {
    const one = await box();
    const held = signed(desired(5));
    await one.keeper.offer(held);
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
    // What it holds is published again: nothing is to be mended, and what was refused stays told.
    await one.keeper.offer(held);
    expect(one.keeper.snapshot().refused).toMatchObject({ reason: 'stale', overAtMs: NOW_MS });
    await one.keeper.offer(signed(desired(4)));
    expect(one.keeper.snapshot().refused).not.toHaveProperty('overAtMs');
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
    const paths = { ...AGENT_PATHS, state: directory(), firmware: join(directory(), 'firmware') };
    const store = createTrialStore(createFiles(), paths, log);
    const jws = signed(desired(1));
    await store.commit(decodeHeld(jws, 'a test'));
    await store.putCommittedAside();
    // The newer version's agent can read it, and held to it until it was taken back.
    await createFiles().writeDurable(join(directory(), 'committed.jws'), signed(later(2)));
    expect((await store.readCommitted())?.id.generation).toBe(1);
    // A state that this version can read is always the later one.
    await store.commit(decodeHeld(signed(desired(3)), 'a test'));
    expect((await store.readCommitted())?.id.generation).toBe(3);
  });
});
