/** When the controller's connection goes back to a better uplink, by a clock that the test moves. */
import { beforeEach, expect, it } from 'vitest';
import {
  betterUplink,
  createLinkReturn,
  type LinkReturn,
  RETURN_HOLD_MAX_MS,
  RETURN_HOLD_MS,
  RETURN_SETTLED_MS,
} from '../../../src/agent/linkReturn.ts';

let nowMs: number;
let due: { readonly atMs: number; readonly wake: () => void }[];
let returned: string[];
let outcome: 'back' | 'in-vain' | 'later';
let random: number;
let back: LinkReturn;

const pass = async (ms: number): Promise<void> => {
  nowMs += ms;
  for (const one of due.filter(({ atMs }) => atMs <= nowMs)) one.wake();
  due = due.filter(({ atMs }) => atMs > nowMs);
  for (let turns = 0; turns < 4; turns += 1) await Promise.resolve();
};
/** What an uplink that goes back and forth does: it was gone back to, and then the other one was dialled. */
const inVain = async (): Promise<void> => {
  back.look(undefined);
  back.connected('wan2');
  back.look('wan1');
};

beforeEach(() => {
  [nowMs, due, returned, outcome, random] = [0, [], [], 'back', 0];
  back = createLinkReturn({
    clock: {
      monotonicMs: () => nowMs,
      sleep: (durationMs, signal) =>
        new Promise((resolve, reject) => {
          due.push({ atMs: nowMs + durationMs, wake: resolve });
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
        }),
    },
    random: () => random,
    async goBack(ifname) {
      returned.push(ifname);
      return outcome;
    },
  });
});

it('goes back once the better one lived without a break for the time', async () => {
  back.look('wan1');
  await pass(RETURN_HOLD_MS - 1);
  // Many events say the same: the time goes on.
  back.look('wan1');
  expect(returned).toEqual([]);
  await pass(1);
  expect(returned).toEqual(['wan1']);
});

it('begins anew where it went away meanwhile, or another became the better one', async () => {
  for (const between of [undefined, 'wan3']) {
    back.look('wan1');
    await pass(RETURN_HOLD_MS - 1);
    back.look(between);
    back.look('wan1');
    await pass(RETURN_HOLD_MS - 1);
    back.look(undefined);
    await pass(RETURN_HOLD_MS);
  }
  expect(returned).toEqual([]);
});

it('waits twice as long each time that it was in vain, up to the most', async () => {
  back.look('wan1');
  let holdMs = RETURN_HOLD_MS;
  for (let times = 1; times < 9; times += 1) {
    await pass(holdMs - 1);
    expect(returned).toHaveLength(times - 1);
    await pass(1);
    expect(returned).toHaveLength(times);
    await inVain();
    holdMs = Math.min(holdMs * 2, RETURN_HOLD_MAX_MS);
  }
  expect(holdMs).toBe(RETURN_HOLD_MAX_MS);
});

it('stays where it is while the better one does not lead to the controller, and tries that ever more seldom', async () => {
  outcome = 'in-vain';
  back.look('wan1');
  for (const [times, holdMs] of [RETURN_HOLD_MS, 2 * RETURN_HOLD_MS, 4 * RETURN_HOLD_MS].entries()) {
    await pass(holdMs - 1);
    expect(returned).toHaveLength(times);
    await pass(1);
    expect(returned).toHaveLength(times + 1);
  }
});

it('waits as long again where it was no time for it', async () => {
  outcome = 'later';
  back.look('wan1');
  for (const times of [1, 2, 3]) {
    await pass(RETURN_HOLD_MS);
    expect(returned).toHaveLength(times);
  }
  back.look(undefined);
  await pass(RETURN_HOLD_MAX_MS);
  expect(returned).toHaveLength(3);
});

it('does not come back at the same moment as all other sites', async () => {
  random = 0.999;
  back.look('wan1');
  await pass(1.99 * RETURN_HOLD_MS);
  expect(returned).toEqual([]);
  await pass(0.01 * RETURN_HOLD_MS);
  expect(returned).toEqual(['wan1']);
});

it('is as quick as ever after one that stayed', async () => {
  back.look('wan1');
  await pass(RETURN_HOLD_MS);
  await inVain();
  await pass(2 * RETURN_HOLD_MS);
  back.look(undefined);
  back.connected('wan1');
  await pass(RETURN_SETTLED_MS);
  back.connected('wan2');
  back.look('wan1');
  await pass(RETURN_HOLD_MS);
  expect(returned).toHaveLength(3);
});

it('is as quick as ever after one that came back by itself and stayed', async () => {
  outcome = 'in-vain';
  back.look('wan1');
  for (const holdMs of [RETURN_HOLD_MS, 2 * RETURN_HOLD_MS]) await pass(holdMs);
  // The session over the other one ended, and the box dialled: the better one got through first.
  back.look(undefined);
  back.connected('wan1');
  await pass(RETURN_SETTLED_MS);
  back.connected('wan2');
  back.look('wan1');
  await pass(RETURN_HOLD_MS);
  expect(returned).toHaveLength(3);
});

it('finds better what lives and goes before, and not the same uplink by its other family', () => {
  const of = (ifname: string, alive: boolean, address = ifname) => ({ ifname, address, dns: [], alive });
  const [wan1, wan2, wan1by6, dark] = [
    of('wan1', true),
    of('wan2', true),
    of('wan1', true, '::1'),
    of('wan3', false),
  ];
  expect(betterUplink([wan1, wan2], wan2)).toBe(wan1);
  expect(betterUplink([wan1, wan2], wan1)).toBeUndefined();
  expect(betterUplink([wan1, wan1by6], wan1by6)).toBeUndefined();
  expect(betterUplink([wan1, wan2, wan1by6], wan1by6)).toBe(wan2);
  // The one that got through although nothing else says that it lives.
  expect(betterUplink([wan1, dark], dark)).toBe(wan1);
  expect(betterUplink([dark, of('wan4', false)], dark)).toBeUndefined();
});
