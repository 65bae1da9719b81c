/** What wakes the agent: that something can just now not be read is told, and ends nothing. */
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createEngineSocket } from '../../../src/agent/engineSocket.ts';
import { createFactsGatherer } from '../../../src/agent/facts.ts';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { followWakeups, wakeupsOf } from '../../../src/agent/wakeups.ts';
import type { Engine } from '../../../src/containers/engine.ts';
import { createLinuxSystem } from '../../../src/system/linux/system.ts';

const MODELS = join(import.meta.dirname, '../../../firmware/models');
const warned: string[] = [];
const log = { debug() {}, info() {}, warn: (message: string) => void warned.push(message), error() {} };
const { signal } = new AbortController();
let directory: string;
beforeEach(async () => {
  warned.length = 0;
  directory = await mkdtemp(join(tmpdir(), 'bbt-wakeups-'));
});
afterEach(() => rm(directory, { recursive: true }));

it('what the identity process wrote has bootstrap and status looked at anew, also where its files cannot be read', () => {
  const woken: string[] = [];
  const wakeups = wakeupsOf({
    turn: { look: () => Promise.resolve() },
    facts: { gather: () => new Promise(() => {}), forgetEngine() {} },
    identity: { read: () => new Promise(() => {}) },
    wanted: { look: () => Promise.resolve(false) },
    holding: { wakeAll() {} },
    reporting: { changed: () => void woken.push('status') },
    bootstrap: { changed: () => void woken.push('bootstrap') },
    moves: { onIdentity: () => void woken.push('LEDs') },
    link: { wake() {} },
    uplinkLinks: () => new Set(),
    uplinkTests: { wake() {} },
    installer: { closeOnceOwned() {} },
    log,
    signal,
  });
  wakeups.onIdentity();
  // The status last: it would read what bootstrap said before.
  expect(woken).toEqual(['LEDs', 'bootstrap', 'status']);
});

it('a lease whose facts cannot be read wakes whom it is for all the same', async () => {
  const woken: string[] = [];
  const wakeups = wakeupsOf({
    turn: { look: () => Promise.resolve() },
    facts: { gather: () => Promise.reject(new Error('EMFILE: too many open files')), forgetEngine() {} },
    identity: { read: () => Promise.resolve(undefined) },
    wanted: { look: () => Promise.resolve(false) },
    holding: { wakeAll: () => void woken.push('lanes') },
    reporting: { changed: () => void woken.push('status') },
    bootstrap: { changed() {} },
    moves: { onIdentity() {} },
    link: { wake: () => void woken.push('link') },
    uplinkLinks: () => new Set(),
    uplinkTests: { wake: () => void woken.push('tests') },
    installer: { closeOnceOwned() {} },
    log,
    signal,
  });
  wakeups.onLease();
  await expect.poll(() => woken).toEqual(['lanes', 'status', 'link', 'tests']);
  expect(warned).toEqual(['the facts of this box cannot be read']);
});

it('an event of a link that is no way to the controller leaves its pause before the next dial alone', () => {
  let dials = 0;
  let looks = 0;
  const wakeups = wakeupsOf({
    turn: { look: () => Promise.resolve() },
    facts: { gather: () => new Promise(() => {}), forgetEngine() {} },
    identity: { read: () => new Promise(() => {}) },
    wanted: { look: () => Promise.resolve(false) },
    holding: { wakeAll: () => void (looks += 1) },
    reporting: { changed() {} },
    bootstrap: { changed() {} },
    moves: { onIdentity() {} },
    link: { wake: () => void (dials += 1) },
    uplinkLinks: () => new Set(['wan1', 'wan2', 'wan2.7']),
    uplinkTests: { wake() {} },
    installer: { closeOnceOwned() {} },
    log,
    signal,
  });
  const dialsAfter = (line?: string): boolean => {
    const before = dials;
    wakeups.onKernel(line);
    return dials > before;
  };
  const others = [
    '7: lan1@if6: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN group default',
    'Deleted 9: wan11: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN group default',
    '12: wg-lte-hub-lte    inet 10.254.4.2/30 scope global proto 98 wg-lte-hub-lte',
    '10.255.0.1 via 10.254.4.1 dev wg-lte-hub-lte proto static metric 20',
    'Deleted 10.20.0.0/16 proto bgp metric 20 \\\tnexthop via 10.254.4.1 dev wg-a weight 1 \\\tnexthop via 10.254.8.1 dev wg-b weight 1',
    'unreachable 10.255.0.0/16 dev lo proto 98 metric 1',
  ];
  expect(others.filter(dialsAfter)).toEqual([]);
  const own = [
    '5: wan1@if4: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default',
    'Deleted 5: wan1    inet 198.51.100.7/24 brd 198.51.100.255 scope global dynamic wan1',
    '8: wan2.7@wan2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default',
    'default via 198.51.100.1 dev wan1 table 101 proto 98 src 198.51.100.7 metric 10',
    'default proto 98 metric 10 \\\tnexthop via 10.254.4.1 dev wg-a weight 1 \\\tnexthop via 100.64.0.1 dev wan2 weight 1',
    // Nobody's: it may be what sends an uplink's packets its way.
    '1101:\tfrom 198.51.100.7 lookup 101 proto 98',
    'unreachable 198.51.0.0/16 proto 98 metric 1',
    // Events were lost.
    undefined,
  ];
  expect(own.map(dialsAfter)).toEqual(own.map(() => true));
  expect(looks).toBe(others.length + own.length);
});

it('an agent starts, and reads what machine it is on, where nothing can be kept for this boot', async () => {
  // A file where the directory should be: as with a disk that is full, no write gets through.
  await writeFile(join(directory, 'run'), '');
  const system = { ...createLinuxSystem({ name: 'test' }), log };
  const facts = await createFactsGatherer({
    system,
    paths: { ...AGENT_PATHS, state: directory, run: join(directory, 'run'), models: MODELS },
    version: '1.0.0',
    engineVersion: () => Promise.reject(new Error('there is none')),
    signal,
  });
  expect(await facts.readInventory()).toBe(true);
  expect(new Set(warned)).toContain('what was found in this boot cannot be kept');
});

it('an engine is asked nothing before its socket is there, in a directory that came later', async () => {
  const ending = new AbortController();
  const system = createLinuxSystem({ name: 'test' });
  const path = join(directory, 'later/docker.sock');
  const asked: string[] = [];
  const engine: Pick<Engine, 'version' | 'follow'> = {
    version: async () => {
      asked.push('version');
      await access(path);
      return { name: 'docker', version: '26.1' };
    },
    follow: () => {
      asked.push('follow');
      return new Promise(() => {});
    },
  };
  const asleep = Promise.withResolvers<void>();
  const clock = {
    ...system.clock,
    sleep: (_durationMs: number, until: AbortSignal = ending.signal) => {
      asleep.resolve();
      return new Promise<void>((_resolve, reject) => {
        if (until.aborted) reject(new Error('woken'));
        until.addEventListener('abort', () => reject(new Error('woken')), { once: true });
      });
    },
  };
  const engineSocket = createEngineSocket({ ...system, clock, path, signal: ending.signal });
  let came = 0;
  let others = 0;
  const nothing = { onKernel() {}, onLease() {}, onIdentity() {} };
  followWakeups(
    {
      ...system,
      runner: { ...system.runner, follow: () => new Promise(() => {}) },
      clock,
      engine,
      engineSocket,
      paths: { ...AGENT_PATHS, run: join(directory, 'run'), identity: join(directory, 'identity') },
    },
    { ...nothing, onEngine: () => void (came += 1) },
    ending.signal,
  );
  await asleep.promise;
  expect(asked).toEqual([]);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, '');
  // The directory was there a moment before the watch was: another file in it until one is seen.
  await expect
    .poll(async () => {
      await writeFile(join(dirname(path), `other${(others += 1)}`), '');
      return asked;
    })
    .toEqual(['version', 'follow']);
  expect(came).toBe(1);
  ending.abort();
});
