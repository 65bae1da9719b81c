/** The keeper of the desired state over real files, held against restarts and verdicts. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/agent/trialStore.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { NOW_MS } from '../pki/domain.ts';
import { desired, signed } from './signedState.ts';
import { useKeeperBoxes } from './keeperBox.ts';

const { box, files, finished, directory } = useKeeperBoxes();

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

  it('that comes in a flood is not kept waiting with all the others', async () => {
    const one = await box();
    const flood = Array.from({ length: 40 }, (_, i) => one.keeper.offer(signed(desired(i + 1))));
    await Promise.all(flood);
    expect(one.events.length).toBeLessThan(20);
    expect(one.keeper.snapshot().trial?.generation).toBe(40);
  });

  it('is back at the committed one after each restart in a trial, and tried again when it comes, three times', async () => {
    const first = await box();
    const good = signed(desired(1));
    await first.keeper.offer(good);
    first.settle();
    first.prove();
    await finished(first.keeper);
    const cut = signed(desired(2));
    for (let start = 1; start <= 3; start += 1) {
      const one = await box();
      await one.keeper.offer(cut);
      expect(one.keeper.snapshot().trial?.generation).toBe(2);
    }
    const last = await box();
    const back = { committed: { generation: 1 }, refused: { reason: 'rolled-back', generation: 2 } };
    expect(last.keeper.snapshot()).toMatchObject(back);
    await last.keeper.offer(cut);
    expect(last.keeper.snapshot()).toMatchObject(back);
    expect(last.keeper.snapshot().trial).toBeUndefined();
  });

  it('is committed by the trial after one that was cut', async () => {
    const first = await box();
    await first.keeper.offer(signed(desired(1)));
    first.settle();
    first.prove();
    await finished(first.keeper);
    const cut = signed(desired(2));
    await (await box()).keeper.offer(cut);
    const after = await box();
    await after.keeper.offer(cut);
    after.settle();
    after.prove();
    await finished(after.keeper);
    expect(after.keeper.snapshot()).toMatchObject({ committed: { generation: 2 } });
    expect(after.keeper.snapshot().refused).toBeUndefined();
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
        monotonicMs: () => nowMs - NOW_MS,
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

  it('that failed is not tried again by an agent that ends: its next start would call that interrupted', async () => {
    let nowMs = NOW_MS;
    const stop = new AbortController();
    const one = await box({
      settle: () => Promise.reject(new Error('never')),
      clock: {
        nowMs: () => nowMs,
        monotonicMs: () => nowMs - NOW_MS,
        sleep: async () => {
          nowMs += 130_000;
          stop.abort();
        },
      },
    });
    await one.keeper.offer(signed(desired(1)));
    await finished(one.keeper);
    await one.keeper.run(stop.signal);
    expect(await files()).toEqual(['rolled-back.json']);
    expect(one.events.filter((event) => event.startsWith('desired-received'))).toHaveLength(1);
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
    const journal = await readFile(join(directory(), 'trial.json'), 'utf8');
    first.settle();
    first.prove();
    await finished(first.keeper);
    await createFiles().writeDurable(join(directory(), 'trial.json'), journal);
    const next = await box();
    expect(next.keeper.snapshot().committed?.generation).toBe(1);
    expect(next.keeper.snapshot().refused).toBeUndefined();
    expect(await files()).toEqual(['committed.jws']);
  });
});
