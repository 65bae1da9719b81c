/** The keeper of the desired state over a disk that takes nothing any more: full, or gone read-only. */
import { describe, expect, it } from 'vitest';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { createTrialStore } from '../../../src/agent/trialStore.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import type { Files } from '../../../src/system/ports.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
import { useKeeperBoxes } from './keeperBox.ts';
import { NOW_MS } from '../pki/domain.ts';
import { desired, signed } from './signedState.ts';

const { box, files, finished, directory } = useKeeperBoxes();

/** The box's disk; `full` is whether it takes no more. Reading goes on. */
function createDisk() {
  const real = createFiles();
  const disk = { full: false };
  const refuse = (): Promise<never> => Promise.reject(new Error('the disk is full'));
  const own: Files = {
    ...real,
    writeDurable: (...words) => (disk.full ? refuse() : real.writeDurable(...words)),
    remove: (...words) => (disk.full ? refuse() : real.remove(...words)),
  };
  return { disk, store: () => createTrialStore(own, { ...AGENT_PATHS, state: directory() }, log) };
}

describe('on a disk that takes nothing any more', () => {
  it('a state that failed its trial is taken back all the same', async () => {
    const { disk, store } = createDisk();
    let changes = 0;
    const one = await box({ store: store(), onChange: () => (changes += 1) });
    await one.keeper.offer(signed(desired(1)));
    disk.full = true;
    one.settle();
    one.fail([]);
    await finished(one.keeper);
    expect(one.keeper.spec()).toBeUndefined();
    expect(changes).toBe(2);
    expect(one.events).toEqual(['desired-received 1/1', 'desired-rolled-back 1/1']);
    expect(one.keeper.snapshot().refused?.reason).toBe('rolled-back');
  });

  it('a state that cannot be kept is taken back, and tried again when it comes again', async () => {
    const { disk, store } = createDisk();
    const one = await box({ store: store() });
    const jws = signed(desired(1));
    await one.keeper.offer(jws);
    disk.full = true;
    one.settle();
    one.prove();
    await finished(one.keeper);
    expect(one.keeper.snapshot().committed).toBeUndefined();
    expect(one.keeper.snapshot().refused?.problems[0]?.message).toContain('the disk is full');
    disk.full = false;
    await one.keeper.offer(jws);
    await finished(one.keeper);
    expect(one.keeper.snapshot().committed?.generation).toBe(1);
    expect(await files()).toEqual(['committed.jws']);
  });

  it('the box comes up from what was committed after a trial that a power cut ended', async () => {
    const { disk, store } = createDisk();
    const one = await box({ store: store() });
    await one.keeper.offer(signed(desired(1)));
    one.settle();
    one.prove();
    await finished(one.keeper);
    await one.keeper.offer(signed(desired(2)));
    disk.full = true;
    const next = await box({ store: store() });
    expect(next.keeper.snapshot().committed?.generation).toBe(1);
    expect(next.events).toEqual(['desired-rolled-back 1/2']);
  });

  it('a state whose retry cannot be journalled is tried every two minutes, not at each look', async () => {
    const { disk, store } = createDisk();
    let nowMs = NOW_MS;
    let tries = 0;
    const stop = new AbortController();
    const one = await box({
      store: store(),
      settle: () => Promise.reject(new Error('never')),
      log: {
        ...log,
        warn: (message) => void (tries += Number(message === 'what was rolled back is tried again')),
      },
      clock: {
        nowMs: () => nowMs,
        monotonicMs: () => nowMs - NOW_MS,
        sleep: async (durationMs) => {
          nowMs += durationMs;
          if (nowMs - NOW_MS > 600_000) stop.abort();
        },
      },
    });
    await one.keeper.offer(signed(desired(1)));
    await finished(one.keeper);
    disk.full = true;
    await one.keeper.run(stop.signal);
    // Within ten minutes, the first after two.
    expect(tries).toBe(5);
  });

  it('a newer state that cannot be journalled leaves the one on trial on trial', async () => {
    const { disk, store } = createDisk();
    const one = await box({ store: store() });
    await one.keeper.offer(signed(desired(1)));
    disk.full = true;
    await one.keeper.offer(signed(desired(2)));
    expect(one.keeper.snapshot().trial?.generation).toBe(1);
  });
});
