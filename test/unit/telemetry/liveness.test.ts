/** What wakes a look at the box between two looks, of that which no kernel event tells. */
import { describe, expect, it } from 'vitest';
import { watchLiveness } from '../../../src/telemetry/read.ts';
import type { Vty } from '../../../src/telemetry/vty.ts';

const path = (status: string) => [{ peer: '10.254.0.1', interface: 'wg1', status }];
const session = (state: string, pfxRcd: number) => ({ peers: { '10.255.0.1': { state, pfxRcd } } });

/** How many looks of the watch called back, where each is answered so. */
async function callsOver(rounds: readonly { readonly bfdd: unknown; readonly bgpd: unknown }[]) {
  const ending = new AbortController();
  let at = 0;
  let calls = 0;
  const vty: Vty = {
    show: (daemon) =>
      Promise.resolve(
        daemon === 'bfdd' ? rounds[at]?.bfdd : daemon === 'bgpd' ? rounds[at]?.bgpd : undefined,
      ),
  };
  const clock = {
    sleep: async () => {
      at += 1;
      if (at === rounds.length) ending.abort();
    },
  };
  await watchLiveness({ vty, clock }, () => (calls += 1), ending.signal);
  return calls;
}

describe('the look of each second', () => {
  const still = { bfdd: path('up'), bgpd: session('Established', 7) };

  it('is quiet where nothing changed, and at its first', async () => {
    expect(await callsOver([still, still, still])).toBe(0);
  });

  it.each([
    ['a path that went', { ...still, bfdd: path('down') }],
    ['bfdd that says nothing', { ...still, bfdd: undefined }],
    ['a session that went', { ...still, bgpd: session('Active', 7) }],
    ['bgpd that says nothing', { ...still, bgpd: undefined }],
    ['a site of a segment that came', { ...still, bgpd: session('Established', 8) }],
  ])('tells %s once, and that it is back', async (_what, changed) => {
    expect(await callsOver([still, changed, changed])).toBe(1);
    expect(await callsOver([still, changed, still])).toBe(2);
  });

  it('is quiet over a session that is away, however its calls go', async () => {
    const away = ['Active', 'Connect', 'Idle', 'OpenSent', 'OpenConfirm'].map((state) => ({
      ...still,
      bgpd: session(state, 0),
    }));
    expect(await callsOver(away)).toBe(0);
  });

  it('is quiet on a box without FRR', async () => {
    const silent = { bfdd: undefined, bgpd: undefined };
    expect(await callsOver([silent, silent])).toBe(0);
  });
});
