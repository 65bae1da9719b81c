/**
 * Owns talking to ModemManager over the system's message bus: reading its modems, calling its methods. A signal only
 * causes everything to be read anew; what it says is not believed.
 * Does not own what the answers mean (modemWords.ts), what is done next (wan/modem) nor when (modems.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import type { Secret } from '../model/secret.ts';
import { type Bus, connectBus } from '../system/dbus.ts';
import type { Variant } from '../system/dbusEncode.ts';
import type { ModemSeen, ModemWish } from '../wan/modemSeen.ts';
import { bearerOf, isProperties, listOf, modemOf, pathOf, type Properties } from './modemWords.ts';

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

/** An object that went away between two calls has no properties any more. */
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
  return modemOf(path, modem, cellular, { simPath, sim, bearers });
}
