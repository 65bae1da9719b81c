/**
 * Owns talking to ModemManager over the system's message bus: what it says of modems in our words, and its methods.
 * All is read anew whenever it signals anything; nobody believes what a signal says.
 * Does not own what is done next (wan/modem) nor when (modems.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import type { Secret } from '../model/secret.ts';
import { type Bus, connectBus } from '../system/dbus.ts';
import type { Variant } from '../system/dbusEncode.ts';
import type { BearerSeen, ModemSeen, ModemState, ModemWish } from '../wan/modemSeen.ts';

const NAME = 'org.freedesktop.ModemManager1';
const MODEM = `${NAME}.Modem`;
/** Registration may take a minute of it; ModemManager itself gives up after three. */
const DIAL_TIMEOUT_MS = 200_000;
const TELL_TIMEOUT_MS = 60_000;
/** A box has eight slots at most. */
const MAX_MODEMS = 16;

export interface ModemManager {
  modems(): Promise<readonly ModemSeen[]>;
  sendPin(simPath: string, pin: Secret): Promise<void>;
  enable(modem: string): Promise<void>;
  dial(modem: string, wish: ModemWish): Promise<void>;
  hangUp(modem: string, bearer: string): Promise<void>;
  reset(modem: string): Promise<void>;
  close(): void;
}

/** A connection to it; `system/dbus` where there is no bus, or nobody of its name on it. */
export async function connectModemManager(options: {
  readonly socketPath: string;
  readonly uid: number;
  readonly onChange: () => void;
  readonly onClose: () => void;
}): Promise<ModemManager> {
  const { socketPath, uid, onChange, onClose } = options;
  const bus = await connectBus({ socketPath, uid, onSignal: onChange, onClose });
  try {
    await bus.follow(NAME);
    await readAll(bus, '/org/freedesktop/ModemManager1', NAME);
  } catch (thrown) {
    bus.close();
    throw thrown;
  }
  const tell = (
    path: string,
    member: string,
    signature: readonly string[] = [],
    args: readonly (string | boolean | Readonly<Record<string, Variant>>)[] = [],
    { of = MODEM, timeoutMs = TELL_TIMEOUT_MS } = {},
  ) => bus.call({ destination: NAME, path, interface: of, member, signature, args, timeoutMs });
  return {
    modems: () => readModems(bus),
    async sendPin(simPath, pin) {
      await tell(simPath, 'SendPin', ['s'], [pin.reveal()], { of: `${NAME}.Sim` });
    },
    async enable(modem) {
      await tell(modem, 'Enable', ['b'], [true]);
    },
    async dial(modem, wish) {
      const of = { of: `${MODEM}.Simple`, timeoutMs: DIAL_TIMEOUT_MS };
      await tell(modem, 'Connect', ['a{sv}'], [dialWords(wish)], of);
    },
    async hangUp(modem, bearer) {
      await tell(modem, 'Disconnect', ['o'], [bearer], { of: `${MODEM}.Simple` });
    },
    async reset(modem) {
      await tell(modem, 'Reset');
    },
    close: () => bus.close(),
  };
}

/** Names of Simple.Connect's properties. MM_BEARER_IP_FAMILY_IPV4 is 1; 1 too is to share the interface with no bearer. */
function dialWords({ apn, user, password }: ModemWish): Readonly<Record<string, Variant>> {
  const text = (value: string): Variant => ({ type: 's', value });
  return {
    'ip-type': { type: 'u', value: 1 },
    multiplex: { type: 'u', value: 1 },
    ...(apn !== undefined && { apn: text(apn) }),
    ...(user !== undefined && { user: text(user) }),
    ...(password !== undefined && { password: text(password.reveal()) }),
  };
}

type Properties = Readonly<Record<string, unknown>>;

const isProperties = (value: unknown): value is Properties =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, 128) : undefined;
const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
/** `/` is the path of nothing. */
const pathOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value.length > 1 ? value : undefined;

async function readAll(bus: Bus, path: string, of: string): Promise<Properties> {
  const [properties] = await bus.call({
    destination: NAME,
    path,
    interface: 'org.freedesktop.DBus.Properties',
    member: 'GetAll',
    signature: ['s'],
    args: [of],
  });
  return isProperties(properties) ? properties : {};
}

/** What went between two calls has no properties any more. */
const readGone = (bus: Bus, path: string, of: string): Promise<Properties> =>
  readAll(bus, path, of).catch((thrown: unknown) => {
    if (thrown instanceof BranchboxError && /Unknown(Object|Method|Interface)$/.test(nameOf(thrown)))
      return {};
    throw thrown;
  });

export const nameOf = ({ fields }: BranchboxError): string => String(fields['name'] ?? '');

async function readModems(bus: Bus): Promise<readonly ModemSeen[]> {
  const [objects] = await bus.call({
    destination: NAME,
    path: '/org/freedesktop/ModemManager1',
    interface: 'org.freedesktop.DBus.ObjectManager',
    member: 'GetManagedObjects',
  });
  const found = isProperties(objects) ? Object.entries(objects).slice(0, MAX_MODEMS) : [];
  return Promise.all(
    found.flatMap(([path, interfaces]) => {
      const modem = isProperties(interfaces) ? interfaces[MODEM] : undefined;
      const cellular = isProperties(interfaces) ? interfaces[`${MODEM}.Modem3gpp`] : undefined;
      return isProperties(modem) ? [readModem(bus, path, modem, isProperties(cellular) ? cellular : {})] : [];
    }),
  );
}

async function readModem(
  bus: Bus,
  path: string,
  modem: Properties,
  cellular: Properties,
): Promise<ModemSeen> {
  const simPath = pathOf(modem['Sim']);
  const sim = simPath === undefined ? {} : await readGone(bus, simPath, `${NAME}.Sim`);
  const bearers = await Promise.all(
    listOf(modem['Bearers'])
      .flatMap((one) => pathOf(one) ?? [])
      .slice(0, MAX_MODEMS)
      .map(async (one) => bearerOf(one, await readGone(bus, one, `${NAME}.Bearer`))),
  );
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

function bearerOf(path: string, bearer: Properties): BearerSeen {
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
