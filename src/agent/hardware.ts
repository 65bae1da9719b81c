/**
 * Owns which interface is which port: reading a hardware model's file, and matching it with what the kernel shows.
 * Does not own what a model may say (model/hardware) nor what a port is used for. firmware/boot-uplinks does the same
 * for WAN ports before the agent is there; test/unit/agent/hardwareBoot.test.ts holds the two together.
 */
import { parse, TomlError } from 'smol-toml';
import { MacAddress } from '../model/addresses.ts';
import { decode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import type { PortFact } from '../model/facts.ts';
import { GENERIC_MODEL, HardwareModel, ModelName } from '../model/hardware.ts';
import { PortLabel } from '../model/ids.ts';
import type { Files } from '../system/ports.ts';

/** A device on USB, below /sys/devices: bus, then port by port. */
const USB_PORT = /^\d+-(\d+(?:\.\d+)*)$/;

/** An interface as the kernel shows it in /sys/class/net. */
export interface FoundInterface {
  readonly ifname: string;
  /** Its device below /sys/devices; undefined where there is none (bridges, tunnels, veth). */
  readonly device: string | undefined;
  /** Its number among those of its device, as the driver counts (dev_port of the kernel's ABI/testing/sysfs-class-net). */
  readonly devPort: number;
  /** Ethernet by wire: no radio, no modem that speaks IP without Ethernet. */
  readonly isWired: boolean;
  readonly isModem: boolean;
  readonly macAddress: string | undefined;
  readonly carrier: boolean;
}

export function parseHardwareModel(text: string, what: string): HardwareModel {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    const where = cause instanceof TomlError ? ` from line ${cause.line} on` : '';
    throw new BranchboxError('model/invalid', { message: `${what} is not TOML${where}`, cause });
  }
  return decode(HardwareModel, value, what);
}

/**
 * `name` is what the factory wrote; empty where it wrote nothing, which is the generic model. A name without a file is
 * an error and never the generic model: that could take a WAN port for a tenant's.
 */
export async function readHardwareModel(
  files: Files,
  directory: string,
  name: string,
): Promise<HardwareModel> {
  const known = name === '' ? GENERIC_MODEL : name;
  const path = `${directory}/${known}.toml`;
  const text = ModelName.safeParse(known).success ? await files.readText(path) : undefined;
  if (text === undefined) {
    throw new BranchboxError('model/invalid', {
      message: `there is no hardware model ${known}: ${path} is missing`,
      mend: 'Add the model file, or correct /etc/branchbox/factory/model.',
    });
  }
  return parseHardwareModel(text, path);
}

/** Interfaces that are a port by their name alone. Of all others only those with a device can be one. Pure. */
export const namedInterfaces = (model: Pick<HardwareModel, 'ports'>): ReadonlySet<string> =>
  new Set(model.ports.flatMap(({ match }) => ('interface' in match ? [match.interface] : [])));

/** Named ports in the model's order, then those discovered in the machine's. Pure. */
export function matchPorts(model: HardwareModel, found: readonly FoundInterface[]): readonly PortFact[] {
  const taken = new Set<string>();
  // Where a place names no number and has several interfaces, the first is the port: the same one at every start.
  const all = inOrder(found);
  const named = model.ports.map(({ label, role, match }): PortFact => {
    // One place in two forms is one port: it must not be a provider's and a tenant's at once.
    const own = all
      .filter(({ ifname }) => !taken.has(ifname))
      .find((one) => ('interface' in match ? one.ifname === match.interface : isAt(one, match.path)));
    if (own === undefined) return { label, role, carrier: false };
    taken.add(own.ifname);
    return portFact(label, role, own, all);
  });
  const modems = model.modems.map(({ match }) => match.path);
  const left = all
    .filter(({ ifname, isWired }) => isWired && !taken.has(ifname))
    .filter((one) => !modems.some((place) => isAt(one, place)));
  const labels = new Set<string>(named.map(({ label }) => label));
  const discovered: PortFact[] = [];
  const add = (label: string, role: PortFact['role'], one: FoundInterface): void => {
    // A second interface of one name is no port: better none than one that may be another after the next boot.
    if (labels.has(label) || !PortLabel.safeParse(label).success) return;
    labels.add(label);
    discovered.push(portFact(label, role, one, all));
  };
  if (model.discover.includes('pci')) {
    // Those on a hypervisor's own bus (Hyper-V, Xen) too, which are at no place that a model could name.
    left
      .filter(({ device }) => !isOnUsb(device))
      .forEach((one, index) => add(index === 0 ? 'wan1' : `lan${index}`, index === 0 ? 'wan' : 'lan', one));
  }
  if (model.discover.includes('usb')) {
    for (const one of left) {
      const place = usbPlaceOf(one.device);
      if (place !== undefined) add(usbLabel(place), 'wan', one);
    }
  }
  const dialled = matchModems(model, all, taken);
  // After all others, so that a modem that is plugged in moves no other uplink's slot.
  return [...named, ...discovered, ...dialled.filter(({ label }) => !labels.has(label))];
}

/** By slot; a modem in no slot is `modem1`, `modem2` …, in the order of the machine. An empty slot is no port. */
function matchModems(
  model: HardwareModel,
  all: readonly FoundInterface[],
  taken: ReadonlySet<string>,
): readonly PortFact[] {
  const left = all.filter(({ ifname }) => !taken.has(ifname));
  // A name of the model's is that place's alone, also while nothing is in it.
  const labels = new Set<string>([...model.ports, ...model.modems].map(({ label }) => label));
  const slotOf = (one: FoundInterface) => model.modems.find(({ match }) => isAt(one, match.path))?.label;
  let others = 0;
  return left.flatMap((one) => {
    const slot = slotOf(one);
    // Of a modem that has several interfaces the first carries.
    if (slot !== undefined && left.find((other) => slotOf(other) === slot) !== one) return [];
    if (slot === undefined && !one.isModem) return [];
    if (slot === undefined) {
      others += 1;
      while (labels.has(`modem${others}`)) others += 1;
    }
    return [{ ...portFact(slot ?? `modem${others}`, 'wan', one, all), carrier: true, modem: true } as const];
  });
}

const inOrder = (found: readonly FoundInterface[]): readonly FoundInterface[] =>
  found.toSorted((a, b) => compare(a.device ?? '', b.device ?? '') || compare(a.ifname, b.ifname));

/** In whichever form; without a number all ports of the device are there. */
function isAt({ device, devPort }: FoundInterface, place: string): boolean {
  const places = placesOf(device);
  return places.includes(place) || places.some((one) => `${one}#${devPort}` === place);
}

/** All forms of model/hardware `Place` that a device below /sys/devices has, without the number of a port. Pure. */
export function placesOf(device: string | undefined): readonly string[] {
  const usb = usbPlaceOf(device);
  if (usb !== undefined) return [usb];
  const addresses = pciAddresses(device);
  const last = addresses.at(-1);
  if (last === undefined) return [];
  const [root, ...below] = addresses;
  const byHops = [root, ...below.map((address) => address.slice(-4))].join('/');
  return byHops === last ? [last] : [last, byHops];
}

/** `…/0000:00:14.0/usb1/1-3/1-3.1/1-3.1:1.0` → `usb-0000:00:14.0-3.1`: the bus's number may change, the ports not. */
function usbPlaceOf(device: string | undefined): string | undefined {
  const controller = pciAddresses(device).at(-1);
  const ports = device
    ?.split('/')
    .map((part) => USB_PORT.exec(part)?.[1])
    .findLast((part) => part !== undefined);
  return controller === undefined || ports === undefined ? undefined : `usb-${controller}-${ports}`;
}

const isOnUsb = (device: string | undefined): boolean =>
  device?.split('/').some((part) => USB_PORT.test(part)) ?? false;

/** `usb-0000:00:14.0-3.1` → `usb14-3-1`; a function other than 0 is told, `usb14f1-3`. */
function usbLabel(place: string): string {
  const [, slot = '', func = '', ports = ''] = /:([0-9a-f]{2})\.([0-7])-([\d.]+)$/.exec(place) ?? [];
  return `usb${slot}${func === '0' ? '' : `f${func}`}-${ports.replaceAll('.', '-')}`;
}

const pciAddresses = (device: string | undefined): readonly string[] =>
  device?.split('/').filter((part) => /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(part)) ?? [];

/** By code unit, as `LC_ALL=C sort`. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function portFact(
  label: string,
  role: PortFact['role'],
  one: FoundInterface,
  all: readonly FoundInterface[],
): PortFact {
  const macAddress = MacAddress.safeParse(one.macAddress);
  const place = placesOf(one.device).at(-1);
  return {
    label,
    role,
    ifname: one.ifname,
    ...(place === undefined ? {} : { place }),
    ...(place !== undefined && isNumbered(one, all) ? { placeNumber: one.devPort } : {}),
    ...(macAddress.success ? { macAddress: macAddress.data } : {}),
    carrier: one.carrier,
  };
}

/** Whether its number tells it from others of its device. */
function isNumbered({ device, devPort, ifname }: FoundInterface, all: readonly FoundInterface[]): boolean {
  const others = all.filter((other) => other.device === device && other.ifname !== ifname);
  return others.length > 0 && others.every((other) => other.devPort !== devPort) && !isOnUsb(device);
}
