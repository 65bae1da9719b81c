/**
 * Servers that say to come back later, again and again: the box comes at those moments, no sooner and not much later, and
 * does not ask afresh whose it is for that.
 */
import { expect, it } from 'vitest';
import { createFaultBench } from './faultBench.ts';

const bench = createFaultBench();
/** More than the failures after which a box asks afresh. */
const TIMES = 20;
const ASKED_MS = 7_000;
const busy = { status: 503, headers: { 'retry-after': String(ASKED_MS / 1000) } };

function expectKept(moments: readonly number[]): void {
  const gaps = moments.slice(1).map((atMs, i) => atMs - (moments[i] ?? 0));
  expect(gaps).toHaveLength(TIMES);
  for (const gapMs of gaps) {
    expect(gapMs).toBeGreaterThanOrEqual(ASKED_MS);
    expect(gapMs).toBeLessThan(ASKED_MS * 1.2);
  }
}

it('the bootstrap server', async () => {
  const moments: number[] = [];
  bench.controller.behaviour.sztp = (nonce) => {
    moments.push(bench.box.clock.monotonicMs());
    return moments.length > TIMES ? bench.good.sztp(nonce) : busy;
  };
  await bench.box.run({ controller: bench.controller, until: 'OWNED' });
  expectKept(moments);
});

it('the enrolment server', async () => {
  const moments: number[] = [];
  bench.controller.behaviour.enrol = (request, operation) => {
    moments.push(bench.box.clock.monotonicMs());
    return moments.length > TIMES ? bench.good.enrol(request, operation) : busy;
  };
  await bench.box.run({ controller: bench.controller, until: 'LDEVID' });
  expectKept(moments);
  const asked = bench.controller.asked.filter((line) => line.includes('get-bootstrapping-data'));
  expect(asked).toHaveLength(1);
});
