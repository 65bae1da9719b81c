/** What is done next about a modem: one case for each that its modem, SIM and network can be in. */
import { describe, expect, it } from 'vitest';
import { MODEM_REASONS } from '../../../src/model/localStatus.ts';
import { Secret } from '../../../src/model/secret.ts';
import { dialRefusalOf, pauseMs, planModem, seenOf, statusOfModem } from '../../../src/wan/modem.ts';
import type { BearerSeen, ModemSeen, ModemTries, ModemWish } from '../../../src/wan/modemSeen.ts';

const NOW_MS = 1000;
const wish: ModemWish = { port: 'lte1', ifname: 'wwan0', apn: 'internet', pin: new Secret('4711') };
const bearer: BearerSeen = {
  path: '/b/0',
  ifname: 'wwan0',
  connected: true,
  apn: 'internet',
  user: undefined,
  ipv4: { by: 'static', address: '10.64.0.2', gateway: '10.64.0.1', dns: ['10.64.0.53'], mtu: 1430 },
};
const seen: ModemSeen = {
  path: '/m/0',
  interfaces: ['wwan0'],
  state: 'registered',
  failure: undefined,
  lock: 'none',
  pinTries: 3,
  registration: 'home',
  simPath: '/s/0',
  iccid: '8949',
  imei: '3549',
  operator: 'Net',
  technology: 'LTE',
  signalPercent: 62,
  bearers: [],
};
const fresh: ModemTries = {
  pin: 'untried',
  dials: 0,
  nextDialMs: 0,
  isOwnDial: false,
  lastRefusal: undefined,
};
const locked = { state: 'locked', lock: 'pin' } as const;
const stands = (more: Partial<BearerSeen> = {}) =>
  ({ state: 'connected', bearers: [{ ...bearer, ...more }] }) as const;
const refusedBy = (reason: 'apn-refused' | 'user-refused' | 'dial-failed') => ({
  lastRefusal: { reason, words: 'no' },
});

interface Case {
  readonly wish?: Partial<ModemWish>;
  readonly seen?: Partial<ModemSeen> | 'nothing';
  readonly tries?: Partial<ModemTries>;
  readonly step: string;
  readonly reason: string;
}
const CASES: Readonly<Record<string, Case>> = {
  'not plugged in': { wish: { ifname: undefined }, seen: 'nothing', step: 'none', reason: 'absent' },
  'not offered yet': { seen: 'nothing', step: 'none', reason: 'starting' },
  'another modem only': { seen: { interfaces: ['wwan7'] }, step: 'none', reason: 'starting' },
  busy: { seen: { state: 'busy' }, step: 'none', reason: 'starting' },
  'no SIM': { seen: { state: 'failed', failure: 'sim-missing' }, step: 'none', reason: 'sim-missing' },
  'an empty eSIM': { seen: { state: 'failed', failure: 'esim-empty' }, step: 'none', reason: 'sim-missing' },
  'a SIM that cannot be read': {
    seen: { state: 'failed', failure: 'sim-error' },
    step: 'none',
    reason: 'sim-error',
  },
  'broken, nobody knows why': {
    seen: { state: 'failed', failure: 'unknown' },
    step: 'none',
    reason: 'failed',
  },
  'broken, without a word': { seen: { state: 'failed' }, step: 'none', reason: 'failed' },
  'PIN wanted and not known': { wish: { pin: undefined }, seen: locked, step: 'none', reason: 'pin-wanted' },
  'PIN wanted and known': { seen: locked, step: 'send-pin', reason: 'starting' },
  'PIN wanted and known, and nobody counts': {
    seen: { ...locked, pinTries: undefined },
    step: 'send-pin',
    reason: 'starting',
  },
  'PIN wanted and known, a moment after a try': {
    seen: locked,
    tries: { nextDialMs: NOW_MS + 1 },
    step: 'none',
    reason: 'starting',
  },
  'PIN refused': { seen: locked, tries: { pin: 'refused' }, step: 'none', reason: 'pin-refused' },
  'PIN sent, and no answer': { seen: locked, tries: { pin: 'unsure' }, step: 'none', reason: 'pin-refused' },
  'a last try of another PIN': { seen: { ...locked, pinTries: 1 }, step: 'none', reason: 'pin-last-try' },
  'a try more than the last': { seen: { ...locked, pinTries: 2 }, step: 'send-pin', reason: 'starting' },
  'PUK wanted': { seen: { ...locked, lock: 'puk', pinTries: 0 }, step: 'none', reason: 'puk-wanted' },
  'locked to a provider': { seen: { ...locked, lock: 'other' }, step: 'none', reason: 'locked' },
  'locked, without a SIM': { seen: { ...locked, simPath: undefined }, step: 'none', reason: 'locked' },
  off: { seen: { state: 'disabled' }, step: 'enable', reason: 'starting' },
  on: { seen: { state: 'enabled', registration: 'none' }, step: 'none', reason: 'searching' },
  searching: { seen: { state: 'searching', registration: 'searching' }, step: 'none', reason: 'searching' },
  denied: {
    seen: { state: 'searching', registration: 'denied' },
    step: 'none',
    reason: 'registration-denied',
  },
  'denied as soon as it is on': {
    seen: { state: 'enabled', registration: 'denied' },
    step: 'none',
    reason: 'registration-denied',
  },
  'emergency calls alone': {
    seen: { state: 'searching', registration: 'emergency' },
    step: 'none',
    reason: 'registration-denied',
  },
  registered: { step: 'dial', reason: 'connecting' },
  'registered abroad': { seen: { registration: 'roaming' }, step: 'dial', reason: 'connecting' },
  'in a pause': { tries: { dials: 1, nextDialMs: NOW_MS + 1 }, step: 'none', reason: 'connecting' },
  'after a pause': { tries: { dials: 1, nextDialMs: NOW_MS }, step: 'dial', reason: 'connecting' },
  'APN refused, in its pause': {
    tries: { ...refusedBy('apn-refused'), dials: 1, nextDialMs: NOW_MS + 1 },
    step: 'none',
    reason: 'apn-refused',
  },
  'APN refused, and dials on': {
    tries: { ...refusedBy('apn-refused'), dials: 6 },
    step: 'dial',
    reason: 'apn-refused',
  },
  'user refused': { tries: { ...refusedBy('user-refused'), dials: 1 }, step: 'dial', reason: 'user-refused' },
  'five dials in vain': {
    tries: { ...refusedBy('dial-failed'), dials: 5 },
    step: 'dial',
    reason: 'dial-failed',
  },
  'six dials in vain': {
    tries: { ...refusedBy('dial-failed'), dials: 6 },
    step: 'reset',
    reason: 'dial-failed',
  },
  'six dials in vain, in the pause': {
    tries: { ...refusedBy('dial-failed'), dials: 6, nextDialMs: NOW_MS + 1 },
    step: 'none',
    reason: 'dial-failed',
  },
  'a reset after six': {
    tries: { ...refusedBy('dial-failed'), dials: 7 },
    step: 'dial',
    reason: 'dial-failed',
  },
  'six that came about and broke': { tries: { dials: 6 }, step: 'dial', reason: 'connecting' },
  connected: { seen: stands(), step: 'none', reason: 'connected' },
  'connected, to be asked by DHCP': {
    seen: stands({ ipv4: { by: 'dhcp' } }),
    step: 'none',
    reason: 'connected',
  },
  'connected by PPP': { seen: stands({ ipv4: { by: 'ppp' } }), step: 'none', reason: 'unsupported' },
  'connected without IPv4': { seen: stands({ ipv4: undefined }), step: 'none', reason: 'no-ipv4' },
  'the APN in other letters': { seen: stands({ apn: 'InterNet' }), step: 'none', reason: 'connected' },
  'the APN with its network': {
    seen: stands({ apn: 'internet.mnc001.mcc262.gprs' }),
    step: 'none',
    reason: 'connected',
  },
  'an APN that begins alike': {
    seen: stands({ apn: 'internet.m2m' }),
    step: 'hang-up',
    reason: 'connecting',
  },
  'another APN': { seen: stands({ apn: 'old' }), step: 'hang-up', reason: 'connecting' },
  'another APN than it was just dialled for': {
    seen: stands({ apn: 'by the network' }),
    tries: { isOwnDial: true },
    step: 'none',
    reason: 'connected',
  },
  'no word of a user': { wish: { user: 'new' }, seen: stands(), step: 'none', reason: 'connected' },
  'any APN where none is asked for': {
    wish: { apn: undefined },
    seen: stands({ apn: 'chosen' }),
    step: 'none',
    reason: 'connected',
  },
  'another user': {
    wish: { user: 'new' },
    seen: stands({ user: 'old' }),
    step: 'hang-up',
    reason: 'connecting',
  },
  'a user where none is wanted': { seen: stands({ user: 'old' }), step: 'hang-up', reason: 'connecting' },
  'by another interface': { seen: stands({ ifname: 'qmapmux0.0' }), step: 'hang-up', reason: 'connecting' },
  'connected, its bearer not seen yet': { seen: { state: 'connected' }, step: 'none', reason: 'connecting' },
  'connected, its bearer down': { seen: stands({ connected: false }), step: 'none', reason: 'connecting' },
};

const planOf = ({ wish: w = {}, seen: s = {}, tries = {} }: Case) => {
  const own = { ...wish, ...w };
  const modem = s === 'nothing' ? undefined : seenOf(own, [{ ...seen, ...s }]);
  return planModem(own, modem, { ...fresh, ...tries }, NOW_MS);
};

describe('a modem', () => {
  it.each(Object.entries(CASES))('%s', (_name, one) => {
    const { step, reason, sentence } = planOf(one);
    expect([step.kind, reason]).toEqual([one.step, one.reason]);
    expect(sentence).toContain('lte1');
  });

  it('has a case for each reason, but for nobody who could be asked', () => {
    const reasons = new Set(Object.values(CASES).map(({ reason }) => reason));
    expect(MODEM_REASONS.filter((reason) => !reasons.has(reason))).toEqual(['no-manager']);
  });

  it('hands on its bearer where it carries, and never before', () => {
    for (const [name, one] of Object.entries(CASES))
      expect(planOf(one).bearer !== undefined, name).toBe(one.reason === 'connected');
  });

  it('is given a PIN and bearers by their own paths, and no sentence has a PIN', () => {
    expect(planOf({ seen: locked, step: '', reason: '' }).step).toEqual({
      kind: 'send-pin',
      simPath: '/s/0',
      pin: wish.pin,
    });
    expect(planOf({ seen: stands({ apn: 'old' }), step: '', reason: '' }).step).toEqual({
      kind: 'hang-up',
      bearer: '/b/0',
    });
    for (const one of Object.values(CASES)) expect(JSON.stringify(planOf(one))).not.toContain('4711');
  });

  it('says of itself what is known, and of the SIM and network no more than that', () => {
    const told = (s: ModemSeen | undefined) => statusOfModem(wish, s, planModem(wish, s, fresh, NOW_MS));
    expect(told({ ...seen, registration: 'roaming' })).toEqual({
      port: 'lte1',
      ifname: 'wwan0',
      reason: 'connecting',
      sentence: expect.any(String),
      operator: 'Net',
      technology: 'LTE',
      signalPercent: 62,
      roaming: true,
      imei: '3549',
      iccid: '8949',
    });
    expect(Object.keys(told(undefined))).toEqual(['port', 'reason', 'sentence', 'ifname']);
  });
});

it('dials after 5 s, then twice as long, never later than after 5 min', () => {
  expect([0, 1, 2, 3, 6, 7, 8, 1000].map(pauseMs)).toEqual([
    5000, 5000, 10_000, 20_000, 160_000, 300_000, 300_000, 300_000,
  ]);
});

it.each([
  ['org.freedesktop.ModemManager1.Error.MobileEquipment.MissingOrUnknownApn', '', 'apn-refused'],
  ['org.freedesktop.ModemManager1.Error.MobileEquipment.ServiceOptionNotSubscribed', '', 'apn-refused'],
  ['org.freedesktop.ModemManager1.Error.Core.Failed', 'unknown-apn', 'apn-refused'],
  ['org.freedesktop.ModemManager1.Error.MobileEquipment.UserAuthenticationFailed', '', 'user-refused'],
  ['org.freedesktop.ModemManager1.Error.Core.Timeout', 'no answer', 'dial-failed'],
  ['org.freedesktop.ModemManager1.Error.Core.Failed', "no carrier with APN 'internet'", 'dial-failed'],
  ['timeout', '', 'dial-failed'],
])('%s %s is %s', (name, words, reason) => {
  expect(dialRefusalOf(name, words)).toBe(reason);
});
