/**
 * Owns what a ModemManager with one modem answers: as much of org.freedesktop.ModemManager1 (1.24) as the box asks, with a
 * SIM that counts wrong PINs and a network that says what it is told to. Does not own how it is asked (modemManager.ts).
 */
import type { Incoming } from '../../src/system/dbusDecode.ts';
import type { Value } from './busBytes.ts';

export const NAME = 'org.freedesktop.ModemManager1';
const ROOT = '/org/freedesktop/ModemManager1';
export const MODEM = `${ROOT}/Modem/0`;
const SIM = `${ROOT}/SIM/0`;
const BEARER = `${ROOT}/Bearer/0`;
const STATE = { failed: -1, locked: 2, disabled: 3, searching: 7, registered: 8, connected: 11 } as const;

export type Reply =
  | { readonly signature: string; readonly values: readonly Value[] }
  | { readonly error: string; readonly words: string };
export const nothing: Reply = { signature: '', values: [] };

export interface World {
  isPlugged: boolean;
  state: keyof typeof STATE;
  failure: number;
  pin: string | undefined;
  pinTries: number;
  registration: number;
  /** Name of the error by which the network refuses a bearer; undefined: it does not. */
  refusal: string | undefined;
  /** MMBearerIpMethod. */
  method: number;
  /** Calls that change something get no answer. */
  isMute: boolean;
  apn: string;
}

export function createWorld(): World {
  return {
    isPlugged: true,
    state: 'disabled',
    failure: 0,
    pin: undefined,
    pinTries: 3,
    registration: 1,
    refusal: undefined,
    method: 2,
    isMute: false,
    apn: '',
  };
}

const text = (value: string): Value => ['s', value];
const number = (value: number): Value => ['u', value];

export function createService(world: World, onCall: (call: string) => void, onChange: () => void) {
  const modem = (): Record<string, Value> => ({
    State: ['i', STATE[world.state]],
    StateFailedReason: number(world.failure),
    UnlockRequired: number(world.state === 'locked' ? (world.pinTries > 0 ? 2 : 4) : 1),
    UnlockRetries: [
      'a{uu}',
      [
        [2, world.pinTries],
        [4, 10],
      ],
    ],
    Sim: ['o', world.failure === 2 ? '/' : SIM],
    Bearers: ['ao', world.state === 'connected' ? [BEARER] : []],
    Ports: [
      'a(su)',
      [
        ['cdc-wdm0', 6],
        ['wwan0', 2],
      ],
    ],
    EquipmentIdentifier: text('354900000000001'),
    AccessTechnologies: number(1 << 14),
    SignalQuality: ['(ub)', [62, true]],
    // Of types that nobody asks for, but that are there.
    MaxActiveBearers: number(1),
    CurrentModes: ['(uu)', [8, 0]],
    SupportedModes: ['a(uu)', [[8, 0]]],
    Drivers: ['as', ['qmi_wwan', 'option']],
  });
  const cellular = (): Record<string, Value> => ({
    RegistrationState: number(world.registration),
    OperatorName: text('Mobilnetz'),
    InitialEpsBearerSettings: ['a{sv}', { apn: text('') }],
  });
  const properties: Readonly<Record<string, () => Record<string, Value>>> = {
    [`${ROOT} ${NAME}`]: () => ({ Version: text('1.24.0') }),
    [`${SIM} ${NAME}.Sim`]: () => ({ SimIdentifier: text('8949000000000000001'), Active: ['b', true] }),
    [`${BEARER} ${NAME}.Bearer`]: () => ({
      Interface: text('wwan0'),
      Connected: ['b', world.state === 'connected'],
      Properties: ['a{sv}', { apn: text(world.apn), 'ip-type': number(1) }],
      Ip4Config: [
        'a{sv}',
        {
          method: number(world.method),
          ...(world.method === 2 && {
            address: text('10.64.0.2'),
            prefix: number(30),
            gateway: text('10.64.0.1'),
            dns1: text('10.64.0.53'),
            mtu: number(1430),
          }),
        },
      ],
    }),
  };
  const become = (state: World['state']): Reply => {
    world.state = state;
    onChange();
    return nothing;
  };
  const sendPin = (given: string): Reply => {
    if (given === world.pin) {
      world.pinTries = 3;
      return become('disabled');
    }
    world.pinTries -= 1;
    onChange();
    return { error: `${NAME}.Error.MobileEquipment.IncorrectPassword`, words: 'Incorrect password' };
  };
  return (call: Incoming): Reply | undefined => {
    const [first] = call.body;
    const { path = '', member = '' } = call;
    if (member === 'GetManagedObjects') {
      const objects = { [MODEM]: { [`${NAME}.Modem`]: modem(), [`${NAME}.Modem.Modem3gpp`]: cellular() } };
      return { signature: 'a{oa{sa{sv}}}', values: [world.isPlugged ? objects : {}] };
    }
    if (member === 'GetAll') {
      const found = properties[`${path} ${String(first)}`];
      return found === undefined
        ? { error: 'org.freedesktop.DBus.Error.UnknownMethod', words: 'Object does not exist' }
        : { signature: 'a{sv}', values: [found()] };
    }
    onCall(
      [member, ...call.body.map((one) => (typeof one === 'object' ? JSON.stringify(one) : String(one)))].join(
        ' ',
      ),
    );
    if (world.isMute) return undefined;
    switch (member) {
      case 'SendPin':
        return sendPin(String(first));
      case 'Enable':
        return become(world.registration === 1 ? 'registered' : 'searching');
      case 'Connect': {
        if (world.refusal !== undefined) return { error: world.refusal, words: 'refused' };
        const asked: unknown = typeof first === 'object' && first !== null ? Reflect.get(first, 'apn') : '';
        world.apn = typeof asked === 'string' ? asked : '';
        become('connected');
        return { signature: 'o', values: [BEARER] };
      }
      case 'Disconnect':
        return become('registered');
      case 'Reset':
        return become('disabled');
      default:
        return { error: 'org.freedesktop.DBus.Error.UnknownMethod', words: member };
    }
  };
}
