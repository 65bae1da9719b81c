/**
 * Owns what is to be done next about one modem, and what is said of it, from what ModemManager says and what was tried
 * before. Pure: the same input gives the same step.
 * Does not own asking or telling ModemManager (agent/modemManager), nor keeping what was tried (agent/modemSteps).
 */
import type { ModemReason, ModemStatus } from '../model/localStatus.ts';
import type { Secret } from '../model/secret.ts';
import type { BearerSeen, DialRefusal, ModemSeen, ModemTries, ModemWish } from './modemSeen.ts';

export type ModemStep =
  | { readonly kind: 'none' }
  | { readonly kind: 'send-pin'; readonly simPath: string; readonly pin: Secret }
  | { readonly kind: 'enable' }
  | { readonly kind: 'dial' }
  | { readonly kind: 'hang-up'; readonly bearer: string }
  | { readonly kind: 'reset' };

export interface ModemPlan {
  readonly step: ModemStep;
  readonly reason: ModemReason;
  readonly sentence: string;
  /** The bearer that is connected now. */
  readonly bearer?: BearerSeen;
}

const FIRST_PAUSE_MS = 5000;
const LONGEST_PAUSE_MS = 300_000;
/** Modems hang: every so many failed dials a modem is restarted instead of dialled. */
const DIALS_BEFORE_RESET = 6;
/** The last try is for a person: a wrong one then blocks the SIM. */
const LEAST_PIN_TRIES = 2;

/** After so many dials. */
export const pauseMs = (dials: number): number =>
  Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, Math.min(dials, 16) - 1));

export const seenOf = (wish: ModemWish, modems: readonly ModemSeen[]): ModemSeen | undefined =>
  wish.ifname === undefined
    ? undefined
    : modems.find(({ interfaces }) => interfaces.includes(wish.ifname ?? ''));

export function planModem(
  wish: ModemWish,
  seen: ModemSeen | undefined,
  tries: ModemTries,
  nowMs: number,
): ModemPlan {
  const wait = (reason: ModemReason, sentence: string): ModemPlan => ({
    step: { kind: 'none' },
    reason,
    sentence,
  });
  if (wish.ifname === undefined)
    return wait(
      'absent',
      `There is no modem at ${wish.port}: plug it in, or name another port in the fleet.`,
    );
  if (seen === undefined)
    return wait('starting', `The modem at ${wish.port} is seen, and ModemManager does not offer it yet.`);
  switch (seen.state) {
    case 'failed':
      return wait(...failure(wish, seen));
    case 'locked':
      return planLocked(wish, seen, tries, nowMs, wait);
    case 'busy':
      return wait('starting', `The modem at ${wish.port} is busy with itself; this takes up to a minute.`);
    case 'connected':
      return planConnected(wish, seen, tries, wait);
    case 'disabled':
      return {
        ...wait('starting', `The modem at ${wish.port} is being switched on.`),
        step: { kind: 'enable' },
      };
    case 'enabled':
    case 'searching':
      return wait(...unregistered(wish, seen));
    case 'registered':
      return planDial(wish, tries, nowMs, wait);
  }
}

type Wait = (reason: ModemReason, sentence: string) => ModemPlan;
type Told = readonly [ModemReason, string];

function failure({ port }: ModemWish, { failure: why }: ModemSeen): Told {
  if (why === 'sim-missing')
    return ['sim-missing', `The modem at ${port} finds no SIM: put one in, then plug the modem in again.`];
  if (why === 'sim-error')
    return ['sim-error', `The modem at ${port} cannot read its SIM: clean it, or try another one.`];
  if (why === 'esim-empty')
    return [
      'sim-missing',
      `The eSIM of the modem at ${port} has no profile: put a SIM in, or load a profile.`,
    ];
  return ['failed', `The modem at ${port} failed: plug it in again; where that does not help, it is broken.`];
}

function planLocked(
  wish: ModemWish,
  seen: ModemSeen,
  tries: ModemTries,
  nowMs: number,
  wait: Wait,
): ModemPlan {
  const sim = `The SIM in the modem at ${wish.port}`;
  if (seen.lock === 'puk')
    return wait(
      'puk-wanted',
      `${sim} is blocked and wants its PUK: put it into a phone, unblock it there, and put it back.`,
    );
  if (seen.lock !== 'pin' || seen.simPath === undefined)
    return wait('locked', `${sim} or the modem is locked to a provider: the provider unlocks it.`);
  if (wish.pin === undefined)
    return wait(
      'pin-wanted',
      `${sim} wants its PIN: put it into the fleet (modem.pin), or switch it off in a phone.`,
    );
  if (tries.pin === 'refused')
    return wait(
      'pin-refused',
      `${sim} refused the PIN that it was given, and it is not tried again: a third wrong one blocks it. Put the right one into the fleet (modem.pin).`,
    );
  if (tries.pin === 'unsure')
    return wait(
      'pin-refused',
      `${sim} was given its PIN, and did not say whether it is the right one; it is not tried again. Unlock the SIM in a phone and switch its PIN off, or put another PIN into the fleet (modem.pin).`,
    );
  if (seen.pinTries !== undefined && seen.pinTries < LEAST_PIN_TRIES)
    return wait(
      'pin-last-try',
      `${sim} takes only one PIN more, and this box leaves that one to you: unlock the SIM in a phone, and put it back.`,
    );
  const told = wait('starting', `${sim} is given its PIN.`);
  return nowMs < tries.nextDialMs
    ? told
    : { ...told, step: { kind: 'send-pin', simPath: seen.simPath, pin: wish.pin } };
}

function planConnected(wish: ModemWish, seen: ModemSeen, tries: ModemTries, wait: Wait): ModemPlan {
  const bearer = seen.bearers.find(({ connected, ifname }) => connected && ifname === wish.ifname);
  const other = seen.bearers.find(({ connected }) => connected);
  if (bearer === undefined || !(tries.isOwnDial || isAsked(bearer, wish))) {
    const wrong = bearer ?? other;
    const told = wait(
      'connecting',
      `The modem at ${wish.port} is connected otherwise than asked, and dials anew.`,
    );
    // Of one that ModemManager knows connected and shows no bearer of, the next look tells.
    return wrong === undefined ? told : { ...told, step: { kind: 'hang-up', bearer: wrong.path } };
  }
  const { ipv4 } = bearer;
  if (ipv4 === undefined)
    return wait(
      'no-ipv4',
      `The modem at ${wish.port} is connected, and its network gave no IPv4 address: ask the provider for an APN with IPv4.`,
    );
  if (ipv4.by === 'ppp')
    return wait(
      'unsupported',
      `The modem at ${wish.port} connects by PPP alone, which is not supported: take one with QMI or MBIM.`,
    );
  return { ...wait('connected', `The modem at ${wish.port} is connected.`), bearer };
}

/**
 * Of a connection that was there before: as far as it says what it is. Modems and networks write an APN their own way
 * (case, `.mnc001.mcc001.gprs` after it).
 */
function isAsked({ apn, user }: BearerSeen, wish: ModemWish): boolean {
  const said = (apn ?? '').toLowerCase();
  const asked = (wish.apn ?? said).toLowerCase();
  return (said === asked || said.startsWith(`${asked}.mnc`)) && (user === undefined || user === wish.user);
}

function unregistered({ port }: ModemWish, { registration }: ModemSeen): Told {
  if (registration === 'denied')
    return [
      'registration-denied',
      `The network refuses the SIM in the modem at ${port}: it is not activated, barred, or for another network; ask the provider.`,
    ];
  if (registration === 'emergency')
    return [
      'registration-denied',
      `The network gives the modem at ${port} emergency calls alone: the SIM is not activated, or has no roaming here; ask the provider.`,
    ];
  return [
    'searching',
    `The modem at ${port} looks for its network: where that lasts, check its aerials and their place.`,
  ];
}

function planDial(wish: ModemWish, tries: ModemTries, nowMs: number, wait: Wait): ModemPlan {
  const { lastRefusal } = tries;
  const told: Told =
    lastRefusal === undefined
      ? ['connecting', `The modem at ${wish.port} is registered, and dials.`]
      : [lastRefusal.reason, refusalSentence(wish, lastRefusal)];
  if (nowMs < tries.nextDialMs) return wait(...told);
  // Restarting the modem does not help against a network that refuses APN or password.
  const isHanging = lastRefusal?.reason === 'dial-failed' && tries.dials % DIALS_BEFORE_RESET === 0;
  return { ...wait(...told), step: { kind: tries.dials > 0 && isHanging ? 'reset' : 'dial' } };
}

function refusalSentence(wish: ModemWish, { reason, words }: NonNullable<ModemTries['lastRefusal']>): string {
  const network = `The network of the modem at ${wish.port}`;
  const apn = wish.apn === undefined ? 'a connection without an APN' : `the APN ${wish.apn}`;
  if (reason === 'apn-refused')
    return `${network} refuses ${apn} (${words}): ask the provider for the APN of this SIM, and put it into the fleet (modem.apn).`;
  if (reason === 'user-refused')
    return `${network} refuses user or password of ${apn} (${words}): correct them in the fleet (modem.user, modem.password).`;
  return `The modem at ${wish.port} does not connect by ${apn} (${words}); it goes on trying.`;
}

/** What an error of ModemManager says of the APN and password that it was given. */
export function dialRefusalOf(name: string, words: string): DialRefusal {
  const said = `${name} ${words}`;
  if (/UserAuth|authentication|PasswordError|PapFail|ChapFail/i.test(said)) return 'user-refused';
  return /unknown.?apn|NotSubscribed|OperatorDeterminedBarring/i.test(said) ? 'apn-refused' : 'dial-failed';
}

export function statusOfModem(
  wish: ModemWish,
  seen: ModemSeen | undefined,
  { reason, sentence }: ModemPlan,
): ModemStatus {
  const given = (field: string, value: string | number | undefined) =>
    value === undefined || value === '' ? {} : { [field]: value };
  return {
    port: wish.port,
    reason,
    sentence,
    ...given('ifname', wish.ifname),
    ...given('operator', seen?.operator),
    ...given('technology', seen?.technology),
    ...given('signalPercent', seen?.signalPercent),
    ...given('imei', seen?.imei),
    ...given('iccid', seen?.iccid),
    ...(seen?.registration === 'roaming' && { roaming: true }),
  };
}
