/** A modem from its PIN to its lease, by the box's own client of D-Bus and a ModemManager with one modem. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BranchboxError } from '../../../src/model/errors.ts';
import { Secret } from '../../../src/model/secret.ts';
import type { ModemSeen, ModemWish } from '../../../src/wan/modemSeen.ts';
import { type ModemBox, startModemBox } from '../../fakes/modemBox.ts';
import { type FakeModemManager, serveModemManager } from '../../fakes/modemManager.ts';
import { MODEM } from '../../fakes/modemService.ts';

const wish: ModemWish = { port: 'lte1', ifname: 'wwan0', apn: 'internet' };
const ERROR = 'org.freedesktop.ModemManager1.Error';
const DIAL = 'Connect {"ip-type":1,"multiplex":1,"apn":"internet"}';

let directory: string;
let manager: FakeModemManager;
let box: ModemBox;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-modems-'));
  manager = await serveModemManager(join(directory, 'bus'));
  box = await startModemBox(directory);
});
afterEach(async () => {
  await box.stop();
  await manager.close();
  await rm(directory, { recursive: true, force: true });
});

describe('a modem', () => {
  it('is switched on and dialled, and its address is told as a lease until it drops', async () => {
    box.modems.hold([wish]);
    await box.become('connected');
    expect(manager.calls).toEqual(['Enable true', DIAL]);
    expect(box.started).toContain('ModemManager.service');
    expect(await box.leases()).toEqual([
      {
        ifname: 'wwan0',
        address: '10.64.0.2/32',
        gateway: '10.64.0.1',
        dns: ['10.64.0.53'],
        bootstrapServers: [],
        mtu: 1430,
      },
    ]);
    expect(box.modems.statuses()).toEqual([
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
    await box.become('searching');
    expect(await box.leases()).toEqual([]);
    manager.set({ state: 'registered', registration: 1 });
    await box.become('connected');
    expect(manager.calls).toEqual(['Enable true', DIAL, DIAL]);
    expect(await box.leases()).toHaveLength(1);
  });

  it('is awaited, plugged in and pulled out', async () => {
    manager.set({ isPlugged: false });
    box.modems.hold([{ ...wish, ifname: undefined }]);
    await box.become('absent');
    box.modems.hold([wish]);
    await box.become('starting');
    expect(manager.calls).toEqual([]);
    manager.set({ isPlugged: true });
    await box.become('connected');
    manager.set({ isPlugged: false });
    await box.become('starting');
    expect(await box.leases()).toEqual([]);
  });

  it('asks by DHCP where its network tells no address', async () => {
    manager.set({ method: 3 });
    box.modems.hold([wish]);
    await box.become('connected');
    expect([...box.modems.byDhcp()]).toEqual(['lte1']);
    expect(await box.leases()).toEqual([]);
  });

  it('is known to be connected where its address cannot be written, and that is told once it can', async () => {
    const inTheWay = join(directory, 'leases');
    await writeFile(inTheWay, '');
    box.modems.hold([wish]);
    await box.become('connected');
    expect(box.logged.join()).toContain('the addresses of modems cannot be told');
    await rm(inTheWay);
    while ((await box.leases()).length === 0) await new Promise(setImmediate);
  });

  it('is dialled anew for another APN, and let go when nobody wants it', async () => {
    box.modems.hold([wish]);
    await box.become('connected');
    box.modems.hold([{ ...wish, apn: 'other' }]);
    const calls: string[] = [];
    for (let i = 0; i < 4; i += 1) calls.push(await manager.nextCall());
    expect(calls.slice(2)).toEqual([
      'Disconnect /org/freedesktop/ModemManager1/Bearer/0',
      'Connect {"ip-type":1,"multiplex":1,"apn":"other"}',
    ]);
    await box.become('connected');
    box.modems.hold([]);
    expect(await manager.nextCall()).toBe('Disconnect /');
    expect(box.modems.byDhcp().size).toBe(0);
  });

  it('says what its network refuses, and goes on trying', async () => {
    manager.set({ refusal: `${ERROR}.MobileEquipment.MissingOrUnknownApn` });
    box.modems.hold([{ ...wish, user: 'u', password: new Secret('geheim') }]);
    await box.become('apn-refused');
    expect(box.modems.statuses()[0]?.sentence).toContain('refuses the APN internet');
    for (let i = 0; i < 9; i += 1) expect(await manager.nextCall()).not.toBe('Reset');
    expect(box.logged.join()).not.toContain('geheim');
    manager.set({ refusal: undefined });
    await box.become('connected');
  });

  it('is started anew after six dials in vain', async () => {
    manager.set({ refusal: `${ERROR}.Core.Failed` });
    box.modems.hold([wish]);
    const calls: string[] = [];
    while (calls.at(-1) !== 'Reset') calls.push(await manager.nextCall());
    expect(calls).toEqual(['Enable true', ...Array.from({ length: 6 }, () => DIAL), 'Reset']);
    expect(await manager.nextCall()).toBe('Enable true');
  });

  it('begins anew with its dials once a connection stood for a minute', async () => {
    manager.set({ refusal: `${ERROR}.Core.Failed` });
    box.modems.hold([wish]);
    await manager.nextCall();
    for (let i = 0; i < 4; i += 1) expect(await manager.nextCall()).toBe(DIAL);
    manager.set({ refusal: undefined });
    await box.become('connected');
    const untilMs = box.nowMs() + 90_000;
    while (box.nowMs() < untilMs) await new Promise(setImmediate);
    const before = manager.calls.length;
    manager.set({ refusal: `${ERROR}.Core.Failed`, state: 'registered' });
    while (manager.calls.at(-1) !== 'Reset') await new Promise(setImmediate);
    expect(manager.calls.slice(before)).toEqual([...Array.from({ length: 6 }, () => DIAL), 'Reset']);
  });

  it('stands on while ModemManager is away, and is known again after it', async () => {
    box.modems.hold([wish]);
    await box.become('connected');
    await manager.close();
    await box.become('no-manager');
    expect(await box.leases()).toHaveLength(1);
    await rm(join(directory, 'bus'), { force: true });
    manager = await serveModemManager(join(directory, 'bus'));
    manager.set({ state: 'connected', apn: 'internet' });
    await box.become('connected');
    expect(manager.calls).toEqual([]);
  });
});

describe('a SIM with a PIN', () => {
  const pin = (digits: string): ModemWish => ({ ...wish, pin: new Secret(digits) });
  beforeEach(() => manager.set({ state: 'locked', pin: '4711' }));

  it('is given the right one once, and the modem connects', async () => {
    box.modems.hold([pin('4711')]);
    await box.become('connected');
    expect(manager.calls).toEqual(['SendPin 4711', 'Enable true', DIAL]);
    expect(await readFile(join(directory, 'pins.json'), 'utf8')).toBe('[]');
  });

  it('is given a wrong one once, and never again, whatever starts anew', async () => {
    const logged: string[] = [];
    box.modems.hold([pin('0000')]);
    await box.become('pin-refused');
    await box.stop();
    logged.push(...box.logged);
    box = await startModemBox(directory);
    box.modems.hold([pin('0000')]);
    await box.become('pin-refused');
    manager.set({ pinTries: 3 });
    box.modems.hold([{ ...pin('0000'), apn: 'other' }]);
    await box.become('pin-refused');
    expect(manager.calls).toEqual(['SendPin 0000']);
    box.modems.hold([pin('4711')]);
    await box.become('connected');
    expect(manager.calls.slice(0, 2)).toEqual(['SendPin 0000', 'SendPin 4711']);
    const kept = await Promise.all(
      (await readdir(directory))
        .filter((n) => n.endsWith('.json'))
        .map((n) => readFile(join(directory, n), 'utf8')),
    );
    for (const secret of ['0000"', '4711"'])
      expect([...kept, ...logged, ...box.logged].join()).not.toContain(secret);
  });

  it('whose answer was lost with ModemManager is asked how many tries it has left', async () => {
    manager.set({ isMute: true });
    box.modems.hold([pin('4711')]);
    expect(await manager.nextCall()).toBe('SendPin 4711');
    await manager.close();
    await rm(join(directory, 'bus'), { force: true });
    await box.become('no-manager');
    manager = await serveModemManager(join(directory, 'bus'));
    manager.set({ state: 'locked', pin: '4711', pinTries: 2 });
    await box.become('pin-refused');
    expect(manager.calls).toEqual([]);
    // Nothing was taken from it after all.
    manager.set({ pinTries: 3 });
    await box.become('connected');
  });

  it.each([
    // What is sure not to have reached the SIM may be sent again …
    [`${ERROR}.Core.Unauthorized`, 'again'],
    [`${ERROR}.Core.WrongState`, 'again'],
    ['org.freedesktop.DBus.Error.ServiceUnknown', 'again'],
    // … what has no answer, or one that nobody knows, may not.
    [`${ERROR}.MobileEquipment.IncorrectPassword`, 'never'],
    [`${ERROR}.Core.Failed`, 'never'],
    ['timeout', 'never'],
  ])('that answers %s is sent its PIN %s', async (name, often) => {
    await box.stop();
    let sent = 0;
    const seen: ModemSeen = {
      path: '/m',
      interfaces: ['wwan0'],
      state: 'locked',
      failure: undefined,
      lock: 'pin',
      // As a ModemManager says that has not counted yet.
      pinTries: 3,
      registration: 'none',
      simPath: '/s',
      iccid: '8949',
      imei: '3549',
      operator: undefined,
      technology: undefined,
      signalPercent: undefined,
      bearers: [],
    };
    const refuse = () => Promise.reject(new Error('not here'));
    box = await startModemBox(directory, async () => ({
      modems: async () => [seen],
      sendPin: async () => {
        sent += 1;
        throw new BranchboxError('system/dbus', { message: name, fields: { name } });
      },
      enable: refuse,
      dial: refuse,
      hangUp: refuse,
      reset: refuse,
      close: () => undefined,
    }));
    box.modems.hold([pin('4711')]);
    if (often === 'again') while (sent < 2) await new Promise(setImmediate);
    else await box.become('pin-refused');
    const [told] = box.modems.statuses();
    expect(told?.sentence.includes('did not say')).toBe(name === 'timeout');
    expect(sent).toBe(often === 'again' ? 2 : 1);
  });

  it('is asked for where nobody told it', async () => {
    box.modems.hold([wish]);
    await box.become('pin-wanted');
    expect(manager.calls).toEqual([]);
    expect(MODEM).toContain('/Modem/0');
  });
});
