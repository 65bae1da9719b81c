/** A modem from its PIN to its lease, by the box's own client of D-Bus and a ModemManager with one modem. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectModemManager } from '../../../src/agent/modemManager.ts';
import { createModemPins } from '../../../src/agent/modemPins.ts';
import { createModems, type Modems } from '../../../src/agent/modems.ts';
import type { ModemReason } from '../../../src/model/localStatus.ts';
import { Secret } from '../../../src/model/secret.ts';
import { readLeases } from '../../../src/system/leases.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import type { Clock } from '../../../src/system/ports.ts';
import type { ModemWish } from '../../../src/wan/modem.ts';
import { type FakeModemManager, MODEM, serveModemManager } from '../../fakes/modemManager.ts';

const wish: ModemWish = { port: 'lte1', ifname: 'wwan0', apn: 'internet' };
const ERROR = 'org.freedesktop.ModemManager1.Error';
const DIAL = 'Connect {"ip-type":1,"multiplex":1,"apn":"internet"}';
const files = createFiles();

let directory: string;
let manager: FakeModemManager;
let modems: Modems;
let ending: AbortController;
let run: Promise<void>;
let logged: string[];
let started: string[];
/** Pauses are over at once, so that what follows them is seen: by the count of looks, not by the time. */
let nowMs: number;
let waiting: { readonly reason: ModemReason; readonly resolve: () => void }[];

const clock: Clock = {
  nowMs: () => nowMs,
  monotonicMs: () => nowMs,
  sleep: (durationMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(new Error('woken'));
      const timer = setImmediate(() => {
        nowMs += durationMs;
        resolve();
      });
      signal?.addEventListener('abort', () => {
        clearImmediate(timer);
        reject(new Error('woken'));
      });
    }),
};

async function start(): Promise<void> {
  ending = new AbortController();
  const log = createLogger({ name: 'test', write: (line) => void logged.push(line) });
  const services = { start: async (units: readonly string[]) => void started.push(...units) };
  modems = createModems({
    system: {
      files,
      clock,
      log,
      services: { ...services, stop: async () => {}, restart: async () => {}, list: async () => [] },
    },
    leases: join(directory, 'leases'),
    pins: await createModemPins({ files, log }, join(directory, 'pins.json')),
    connect: (on) => connectModemManager({ socketPath: join(directory, 'bus'), uid: 0, ...on }),
    onWays: told,
    onStates: told,
  });
  run = modems.run(ending.signal);
}
const told = (): void => {
  const now = modems.statuses()[0]?.reason;
  waiting = waiting.filter(({ reason, resolve }) => {
    if (reason === now) resolve();
    return reason !== now;
  });
};
const become = (reason: ModemReason): Promise<void> =>
  new Promise((resolve) => {
    waiting.push({ reason, resolve });
    told();
  });
const stop = async (): Promise<void> => {
  ending.abort();
  await run;
};
const leases = () => readLeases(files, join(directory, 'leases'));

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-modems-'));
  nowMs = 1;
  logged = [];
  started = [];
  waiting = [];
  manager = await serveModemManager(join(directory, 'bus'));
  await start();
});
afterEach(async () => {
  await stop();
  await manager.close();
  await rm(directory, { recursive: true, force: true });
});

describe('a modem', () => {
  it('is switched on and dialled, and its address is told as a lease until it drops', async () => {
    modems.hold([wish]);
    await become('connected');
    expect(manager.calls).toEqual(['Enable true', DIAL]);
    expect(started).toContain('ModemManager.service');
    expect(await leases()).toEqual([
      {
        ifname: 'wwan0',
        address: '10.64.0.2/32',
        gateway: '10.64.0.1',
        dns: ['10.64.0.53'],
        bootstrapServers: [],
        mtu: 1430,
      },
    ]);
    expect(modems.statuses()).toEqual([
      {
        port: 'lte1',
        ifname: 'wwan0',
        reason: 'connected',
        sentence: 'The modem at lte1 is connected.',
        operator: 'Mobilnetz',
        technology: 'LTE',
        signalPercent: 62,
        imei: '354900000000001',
        iccid: '8949000000000000001',
      },
    ]);
    manager.set({ state: 'searching', registration: 2 });
    await become('searching');
    expect(await leases()).toEqual([]);
    manager.set({ state: 'registered', registration: 1 });
    await become('connected');
    expect(manager.calls).toEqual(['Enable true', DIAL, DIAL]);
    expect(await leases()).toHaveLength(1);
  });

  it('is awaited, plugged in and pulled out', async () => {
    manager.set({ isPlugged: false });
    modems.hold([{ ...wish, ifname: undefined }]);
    await become('absent');
    modems.hold([wish]);
    await become('starting');
    expect(manager.calls).toEqual([]);
    manager.set({ isPlugged: true });
    await become('connected');
    manager.set({ isPlugged: false });
    await become('starting');
    expect(await leases()).toEqual([]);
  });

  it('asks by DHCP where its network tells no address', async () => {
    manager.set({ method: 3 });
    modems.hold([wish]);
    await become('connected');
    expect([...modems.byDhcp()]).toEqual(['lte1']);
    expect(await leases()).toEqual([]);
  });

  it('is dialled anew for another APN, and let go when nobody wants it', async () => {
    modems.hold([wish]);
    await become('connected');
    modems.hold([{ ...wish, apn: 'other' }]);
    const calls: string[] = [];
    for (let i = 0; i < 4; i += 1) calls.push(await manager.nextCall());
    expect(calls.slice(2)).toEqual([
      'Disconnect /org/freedesktop/ModemManager1/Bearer/0',
      'Connect {"ip-type":1,"multiplex":1,"apn":"other"}',
    ]);
    await become('connected');
    modems.hold([]);
    expect(await manager.nextCall()).toBe('Disconnect /');
    expect(modems.byDhcp().size).toBe(0);
  });

  it('says what its network refuses, and goes on trying', async () => {
    manager.set({ refusal: `${ERROR}.MobileEquipment.MissingOrUnknownApn` });
    modems.hold([{ ...wish, user: 'u', password: new Secret('geheim') }]);
    await become('apn-refused');
    expect(modems.statuses()[0]?.sentence).toContain('refuses the APN internet');
    for (let i = 0; i < 9; i += 1) expect(await manager.nextCall()).not.toBe('Reset');
    expect(logged.join()).not.toContain('geheim');
    manager.set({ refusal: undefined });
    await become('connected');
  });

  it('is started anew after six dials in vain', async () => {
    manager.set({ refusal: `${ERROR}.Core.Failed` });
    modems.hold([wish]);
    const calls: string[] = [];
    while (calls.at(-1) !== 'Reset') calls.push(await manager.nextCall());
    expect(calls).toEqual(['Enable true', ...Array.from({ length: 6 }, () => DIAL), 'Reset']);
    expect(await manager.nextCall()).toBe('Enable true');
  });

  it('stands on while ModemManager is away, and is known again after it', async () => {
    modems.hold([wish]);
    await become('connected');
    await manager.close();
    await become('no-manager');
    expect(await leases()).toHaveLength(1);
    await rm(join(directory, 'bus'), { force: true });
    manager = await serveModemManager(join(directory, 'bus'));
    manager.set({ state: 'connected', apn: 'internet' });
    await become('connected');
    expect(manager.calls).toEqual([]);
  });
});

describe('a SIM with a PIN', () => {
  const pin = (digits: string): ModemWish => ({ ...wish, pin: new Secret(digits) });
  beforeEach(() => manager.set({ state: 'locked', pin: '4711' }));

  it('is given the right one once, and the modem connects', async () => {
    modems.hold([pin('4711')]);
    await become('connected');
    expect(manager.calls).toEqual(['SendPin 4711', 'Enable true', DIAL]);
    expect(await readFile(join(directory, 'pins.json'), 'utf8')).toBe('[]');
  });

  it('is given a wrong one once, and never again, whatever starts anew', async () => {
    modems.hold([pin('0000')]);
    await become('pin-refused');
    await stop();
    await start();
    modems.hold([pin('0000')]);
    await become('pin-refused');
    manager.set({ pinTries: 3 });
    modems.hold([{ ...pin('0000'), apn: 'other' }]);
    await become('pin-refused');
    expect(manager.calls).toEqual(['SendPin 0000']);
    modems.hold([pin('4711')]);
    await become('connected');
    expect(manager.calls.slice(0, 2)).toEqual(['SendPin 0000', 'SendPin 4711']);
    const kept = await Promise.all(
      (await readdir(directory))
        .filter((n) => n.endsWith('.json'))
        .map((n) => readFile(join(directory, n), 'utf8')),
    );
    for (const secret of ['0000"', '4711"']) expect([...kept, ...logged].join()).not.toContain(secret);
  });

  it('whose answer was lost with ModemManager is asked how many tries it has left', async () => {
    manager.set({ isMute: true });
    modems.hold([pin('4711')]);
    expect(await manager.nextCall()).toBe('SendPin 4711');
    await manager.close();
    await rm(join(directory, 'bus'), { force: true });
    await become('no-manager');
    manager = await serveModemManager(join(directory, 'bus'));
    manager.set({ state: 'locked', pin: '4711', pinTries: 2 });
    await become('pin-refused');
    expect(manager.calls).toEqual([]);
    // Nothing was taken from it after all.
    manager.set({ pinTries: 3 });
    await become('connected');
  });

  it('is asked for where nobody told it', async () => {
    modems.hold([wish]);
    await become('pin-wanted');
    expect(manager.calls).toEqual([]);
    expect(MODEM).toContain('/Modem/0');
  });
});
