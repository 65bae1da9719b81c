/** What the identity process tells the other processes of its box about the time, and when. */
import { describe, expect, it } from 'vitest';
import { openTrustedClock } from '../../../src/bootstrap/clockFloor.ts';
import { createTimeTelling } from '../../../src/bootstrap/toldTime.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { judgedMs, KnownTime } from '../../../src/model/knownTime.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
import { HOUR_MS, NOW_MS } from './authorities.ts';
import { createTestClock } from './box.ts';

const BUILT_MS = NOW_MS - 1000 * HOUR_MS;

async function open(refuse?: Error) {
  const told: KnownTime[] = [];
  const files = {
    readText: async () => undefined,
    readBytes: async () => undefined,
    async writeDurable(path: string, content: string | Uint8Array) {
      if (path !== '/run/known-time.json') return;
      if (refuse !== undefined) throw refuse;
      told.push(KnownTime.parse(JSON.parse(String(content))));
    },
    writeKernel: async () => {},
    remove: async () => {},
    list: async () => [],
    watch: () => {},
  };
  const clock = createTestClock(0);
  const trusted = await openTrustedClock({
    files,
    clock,
    path: 'floor',
    builtAtMs: BUILT_MS,
    tell: createTimeTelling({ files, log }, '/run/known-time.json'),
  });
  const now = () => ({ wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() });
  return { told, trusted, clock, now };
}

describe('what is known of the time', () => {
  it('is told at the start, and by each thing that is learned; who reads it comes to the same time', async () => {
    const { told, trusted, clock, now } = await open();
    const steps = [
      async () => {},
      () => trusted.learn(NOW_MS),
      () => trusted.raise(NOW_MS + 3 * HOUR_MS),
      () => trusted.learn(NOW_MS + 9 * HOUR_MS),
    ];
    for (const [index, step] of steps.entries()) {
      await step();
      expect(told).toHaveLength(index + 1);
      await clock.sleep(HOUR_MS);
      expect(judgedMs(told.at(-1) ?? expect.unreachable(), now())).toBe(trusted.nowMs());
    }
    // No news.
    await trusted.raise(NOW_MS);
    expect(told).toHaveLength(steps.length);
  });

  it('is kept by this process alone where it cannot be written', async () => {
    const { trusted } = await open(new BranchboxError('system/file', { message: 'no space left' }));
    await trusted.learn(NOW_MS);
    expect(trusted.nowMs()).toBe(NOW_MS);
  });

  it('hides nothing that is no refusal of the system', async () => {
    await expect(open(new Error('killed'))).rejects.toThrow('killed');
  });
});
