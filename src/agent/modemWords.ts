/**
 * Owns what ModemManager's properties are in our words: its numbers, and values that may be missing or of another type. Pure.
 * Does not own asking for them (modemManager.ts).
 */
import type { BearerSeen, ModemSeen, ModemState } from '../wan/modemSeen.ts';

export type Properties = Readonly<Record<string, unknown>>;

export const isProperties = (value: unknown): value is Properties =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, 128) : undefined;
const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
/** `/` is the path of nothing. */
export const pathOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value.length > 1 ? value : undefined;

/** `sim` and bearers are objects of their own, asked for by their paths. */
export function modemOf(
  path: string,
  modem: Properties,
  cellular: Properties,
  parts: {
    readonly simPath: string | undefined;
    readonly sim: Properties;
    readonly bearers: readonly BearerSeen[];
  },
): ModemSeen {
  const { simPath, sim, bearers } = parts;
  const lock = numberOf(modem['UnlockRequired']) ?? 0;
  const tries = isProperties(modem['UnlockRetries']) ? modem['UnlockRetries'] : {};
  return {
    path,
    interfaces: listOf(modem['Ports']).flatMap((port) =>
      Array.isArray(port) && port[1] === PORT_NET && typeof port[0] === 'string' ? [port[0]] : [],
    ),
    state: STATES[numberOf(modem['State']) ?? 0] ?? 'busy',
    failure: FAILURES[numberOf(modem['StateFailedReason']) ?? 0],
    lock: LOCKS[lock] ?? 'other',
    pinTries: numberOf(tries[String(LOCK_PIN)]),
    registration: REGISTRATIONS[numberOf(cellular['RegistrationState']) ?? 0] ?? 'none',
    simPath,
    iccid: textOf(sim['SimIdentifier']),
    imei: textOf(modem['EquipmentIdentifier']),
    operator: textOf(cellular['OperatorName']) ?? textOf(cellular['OperatorCode']),
    technology: technologyOf(numberOf(modem['AccessTechnologies']) ?? 0),
    signalPercent: numberOf(listOf(modem['SignalQuality'])[0]),
    bearers,
  };
}

export function bearerOf(path: string, bearer: Properties): BearerSeen {
  const asked = isProperties(bearer['Properties']) ? bearer['Properties'] : {};
  return {
    path,
    ifname: textOf(bearer['Interface']) ?? '',
    connected: bearer['Connected'] === true,
    apn: textOf(asked['apn']),
    user: textOf(asked['user']),
    ipv4: ipv4Of(isProperties(bearer['Ip4Config']) ? bearer['Ip4Config'] : {}),
  };
}

function ipv4Of(config: Properties): BearerSeen['ipv4'] {
  const address = textOf(config['address']);
  switch (config['method']) {
    case METHOD_PPP:
      return { by: 'ppp' };
    case METHOD_DHCP:
      return { by: 'dhcp' };
    case METHOD_STATIC:
      return address === undefined
        ? undefined
        : {
            by: 'static',
            address,
            gateway: textOf(config['gateway']),
            dns: ['dns1', 'dns2', 'dns3'].flatMap((name) => textOf(config[name]) ?? []),
            mtu: numberOf(config['mtu']),
          };
    default:
      return undefined;
  }
}

// Numbers of ModemManager-enums.h, of which none has ever changed.
const PORT_NET = 2;
const LOCK_PIN = 2;
const METHOD_PPP = 1;
const METHOD_STATIC = 2;
const METHOD_DHCP = 3;
/** MMModemState; those that pass by themselves are busy. */
const STATES: Readonly<Record<number, ModemState>> = {
  [-1]: 'failed',
  2: 'locked',
  3: 'disabled',
  6: 'enabled',
  7: 'searching',
  8: 'registered',
  11: 'connected',
};
/** MMModemStateFailedReason. */
const FAILURES: Readonly<Record<number, ModemSeen['failure']>> = {
  1: 'unknown',
  2: 'sim-missing',
  3: 'sim-error',
  4: 'unknown',
  5: 'esim-empty',
};
/** MMModemLock. */
const LOCKS: Readonly<Record<number, ModemSeen['lock']>> = { 1: 'none', [LOCK_PIN]: 'pin', 4: 'puk' };
/** MMModem3gppRegistrationState. */
const REGISTRATIONS: Readonly<Record<number, ModemSeen['registration']>> = {
  1: 'home',
  2: 'searching',
  3: 'denied',
  5: 'roaming',
  8: 'emergency',
};

/** MMModemAccessTechnology is a set of bits; the newest counts. Pure. */
function technologyOf(bits: number): string | undefined {
  const newest = TECHNOLOGIES.find(([mask]) => (bits & mask) !== 0);
  return newest?.[1];
}
const TECHNOLOGIES: readonly (readonly [number, string])[] = [
  [1 << 15, '5G'],
  [(1 << 14) | (1 << 16) | (1 << 17), 'LTE'],
  [0b1_1111 << 5, '3G'],
  [0b1_1110, '2G'],
];
