/** Hardware models: what one may say, and which port is which by it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type FoundInterface,
  matchPorts,
  parseHardwareModel,
  placesOf,
  readHardwareModel,
} from '../../../src/agent/hardware.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { createFiles } from '../../../src/system/linux/files.ts';

const MODELS = join(import.meta.dirname, '../../../firmware/models');
const names = readdirSync(MODELS).map((file) => file.replace(/\.toml$/, ''));
const read = (name: string) =>
  parseHardwareModel(readFileSync(join(MODELS, `${name}.toml`), 'utf8'), `${name}.toml`);

const found = (
  ifname: string,
  device: string | undefined,
  isWired = true,
  isModem = false,
  devPort = 0,
): FoundInterface => ({
  ifname,
  device,
  devPort,
  isWired,
  isModem,
  macAddress: undefined,
  carrier: false,
});
const labels = (ports: ReturnType<typeof matchPorts>) =>
  ports.flatMap(({ label, role, ifname }) => (ifname === undefined ? [] : [`${label} ${role} ${ifname}`]));

const PCI = '/sys/devices/pci0000:00';
const HUB = `${PCI}/0000:00:14.0/usb1/1-3`;

const MODEL = `
model = "test"
standing = "tried"
[[ports]]
label = "wan1"
role = "wan"
match.path = "0000:03:00.0"
[[ports]]
label = "lan1"
role = "lan"
match.interface = "lan1"
`;

it('each model is in the table of the docs, with the standing that it has', () => {
  const docs = readFileSync(join(import.meta.dirname, '../../../docs/hardware.md'), 'utf8');
  const table = /^## Models\n(.*?)^## /ms.exec(docs)?.[1] ?? '';
  const rows = [...table.matchAll(/^\| `([^`]+)` \| (\w+) \|/gm)].map(([, name, standing]) => [
    name,
    standing,
  ]);
  expect(rows.map((row) => row.join(' ')).toSorted()).toEqual(
    names.map((name) => `${name} ${read(name).standing}`).toSorted(),
  );
});

it('a port is reported with the place that a model would name', () => {
  const ports = matchPorts(read('generic'), [
    found('a', `${PCI}/0000:00:1c.0/0000:01:00.0/net/a`),
    found('b', `${HUB}/1-3.1/1-3.1:1.0/net/b`),
  ]);
  expect(ports.map(({ label, place }) => [label, place])).toEqual([
    ['wan1', '0000:00:1c.0/00.0'],
    ['usb14-3-1', 'usb-0000:00:14.0-3.1'],
  ]);
});

/** What a refusal says; `taken` where there is none. */
function problemsOf(read: () => unknown): string {
  try {
    read();
    return 'taken';
  } catch (thrown) {
    if (!(thrown instanceof BranchboxError)) throw thrown;
    return `${thrown.message} ${thrown.problems.map((one) => one.message).join(' ')}`;
  }
}

describe('hardware models', () => {
  it.each(names)('%s decodes and is named as its file', (name) => {
    expect(read(name).model).toBe(name);
  });

  it('refuse what cannot be meant', () => {
    const cases: readonly (readonly [from: string, to: string, problem: string])[] = [
      ['"lan1"\nrole', '"wan1"\nrole', 'labels must differ'],
      ['match.interface = "lan1"', 'match.path = "0000:03:00.0"', 'places must differ'],
      ['"0000:03:00.0"', '"eth0"', 'a place such as'],
      ['[[ports]]', `${'[[consoles]]\ntty = "ttyS0"\n'.repeat(2)}[[ports]]`, 'consoles must differ: ttyS0'],
      ['"tried"', '"documented"', 'name its sources'],
      ['standing = "tried"', 'standing = "tried"\ndiscover = ["pci"]', 'which of them would be the first'],
      ['= "test"', '= "../test"', 'lower-case letters'],
      [MODEL, 'model = "test"\nstanding = "tried"', 'no port'],
      [MODEL, '= = =', 'is not TOML'],
      ['standing = "tried"', 'standing = tried', 'is not TOML from line 3 on'],
    ];
    for (const [from, to, problem] of cases) {
      expect(problemsOf(() => parseHardwareModel(MODEL.replace(from, to), 'test.toml'))).toContain(problem);
    }
  });

  it.each([
    ['0000:03:1f.7', true],
    ['10000:e1:00.0', true],
    ['0000:00:1c.0/00.0/1f.7#3', true],
    ['usb-0000:00:14.0-31.1.2.3.4.5', true],
    // No machine has a device or a function of that number: a port that is written so would never be found.
    ['0000:03:20.0', false],
    ['0000:03:a0.0', false],
    ['0000:03:00.8', false],
    ['0000:00:1c.0/20.0', false],
    ['0000:00:1c.0/00.8', false],
    ['usb-0000:00:20.0-3', false],
    ['usb-0000:00:14.8-3', false],
    ['usb-0000:00:14.0-0', false],
    ['usb-0000:00:14.0-03', false],
    ['usb-0000:00:14.0-3.32', false],
    ['usb-0000:00:14.0-1.2.3.4.5.6.7', false],
  ])('takes %s for a place that a machine can have: %s, and says what one is', (place, isTaken) => {
    const read = (): unknown => parseHardwareModel(MODEL.replace('0000:03:00.0', place), 'test.toml');
    if (isTaken) {
      expect(read()).toMatchObject({ ports: [{ match: { path: place } }, {}] });
      return;
    }
    expect(problemsOf(read)).toMatch(/devices are 00 to 1f, their functions 0 to 7; USB ports are 1 to 31/);
  });

  it('find ports by their place, not by the name of the day', () => {
    const ports = matchPorts(parseHardwareModel(MODEL, 'test.toml'), [
      {
        ...found('eth7', `${PCI}/0000:00:1c.0/0000:03:00.0`),
        macAddress: '02:00:00:00:00:01',
        carrier: true,
      },
      found('eth0', `${PCI}/0000:00:1c.1/0000:04:00.0`),
    ]);
    expect(ports).toEqual([
      {
        label: 'wan1',
        role: 'wan',
        ifname: 'eth7',
        place: '0000:00:1c.0/00.0',
        macAddress: '02:00:00:00:00:01',
        carrier: true,
      },
      { label: 'lan1', role: 'lan', carrier: false },
    ]);
  });

  it('give one interface to one port, where a model names its place in two forms', () => {
    const text = MODEL.replace('match.interface = "lan1"', 'match.path = "0000:00:1c.0/00.0"');
    const ports = matchPorts(parseHardwareModel(text, 'test.toml'), [
      found('eth7', `${PCI}/0000:00:1c.0/0000:03:00.0`),
    ]);
    expect(labels(ports)).toEqual(['wan1 wan eth7']);
  });

  it('give the first of several interfaces at one place to the port, in whatever order they are listed', () => {
    const two = ['eth7', 'eth6'].map((ifname) => found(ifname, `${PCI}/0000:00:1c.0/0000:03:00.0`));
    for (const all of [two, two.toReversed()])
      expect(labels(matchPorts(parseHardwareModel(MODEL, 'test.toml'), all))).toEqual(['wan1 wan eth6']);
  });

  it('tell the ports of one PCI function apart by their numbers, whatever their names are', () => {
    const device = `${PCI}/0000:00:1c.0/0000:03:00.0`;
    const cards = [
      found('eth0', device, true, false, 1),
      found('eth1', device, true, false, 0),
      found('eth2', device, true, false, 10),
    ];
    const text = MODEL.replace('0000:03:00.0', '0000:03:00.0#0').replace(
      'match.interface = "lan1"',
      'match.path = "0000:00:1c.0/00.0#1"',
    );
    const ports = matchPorts(parseHardwareModel(text, 'test.toml'), cards);
    const place = '0000:00:1c.0/00.0';
    expect(ports).toMatchObject([
      { label: 'wan1', ifname: 'eth1', place, placeNumber: 0 },
      { label: 'lan1', ifname: 'eth0', place, placeNumber: 1 },
    ]);
    // So that who describes a box of the generic model is told by what to name each.
    expect(matchPorts(read('generic'), cards)).toMatchObject(
      [1, 0, 10].map((placeNumber) => ({ place, placeNumber })),
    );
    // One that is alone at its place is told by that, whatever its driver counts.
    expect(matchPorts(read('generic'), cards.slice(0, 1))[0]).not.toHaveProperty('placeNumber');
  });

  it('know a place by its address and by its hops', () => {
    expect(placesOf(`${PCI}/0000:00:02.2/0000:01:00.0`)).toEqual(['0000:01:00.0', '0000:00:02.2/00.0']);
    expect(placesOf(`${PCI}/0000:00:10.0/virtio3`)).toEqual(['0000:00:10.0']);
    expect(placesOf(`${HUB}/1-3.1/1-3.1:1.0`)).toEqual(['usb-0000:00:14.0-3.1']);
    expect(placesOf(undefined)).toEqual([]);
  });

  it('finds the ports of an apu2 behind a card that moves their buses', () => {
    const ports = matchPorts(read('pcengines-apu2'), [
      found('enp5s0', `${PCI}/0000:00:02.4/0000:05:00.0`),
      found('enp1s0', `${PCI}/0000:00:02.1/0000:01:00.0`, false),
      found('enp3s0', `${PCI}/0000:00:02.2/0000:03:00.0`),
    ]);
    expect(labels(ports)).toEqual(['wan1 wan enp3s0', 'lan2 lan enp5s0']);
  });

  it('finds modems by their slots, and numbers those in none, after all other ports', () => {
    const modem = (ifname: string, device: string) => found(ifname, device, false, true);
    const model = `${MODEL}[[modems]]\nlabel = "lte1"\nmatch.path = "usb-0000:00:14.0-3.1"\n`;
    const all = [
      modem('wwan1', `${HUB}/1-3.4/1-3.4:1.4`),
      modem('wwan0', `${HUB}/1-3.1/1-3.1:1.4`),
      modem('wwan3', `${HUB}/1-3.1/1-3.1:1.8`),
      modem('wwan2', `${HUB}/1-3.2/1-3.2:1.4`),
      found('eth7', `${PCI}/0000:00:1c.0/0000:03:00.0`),
    ];
    const ports = matchPorts(parseHardwareModel(model, 'test.toml'), all);
    expect(labels(ports)).toEqual([
      'wan1 wan eth7',
      'lte1 wan wwan0',
      'modem1 wan wwan2',
      'modem2 wan wwan1',
    ]);
    expect(ports.at(-1)).toEqual({
      label: 'modem2',
      role: 'wan',
      ifname: 'wwan1',
      place: 'usb-0000:00:14.0-3.4',
      carrier: true,
      modem: true,
    });
    // One that shows itself as a network card is a modem in its slot, and Ethernet elsewhere.
    const card = parseHardwareModel(model, 'test.toml');
    expect(labels(matchPorts(card, [found('usb0', `${HUB}/1-3.1/1-3.1:1.0`)]))).toEqual(['lte1 wan usb0']);
    expect(labels(matchPorts(card, []))).toEqual([]);
  });

  it('number no modem as one that the model names, in its slot or not', () => {
    const modem = (ifname: string, port: number) =>
      found(ifname, `${PCI}/0000:00:14.0/usb1/1-${port}/1-${port}:1.4`, false, true);
    const slot = parseHardwareModel(
      `${MODEL.replace('"lan1"\nrole', '"modem2"\nrole')}[[modems]]\nlabel = "modem1"\nmatch.path = "usb-0000:00:14.0-5"\n`,
      'test.toml',
    );
    expect(labels(matchPorts(slot, [modem('a', 3)]))).toEqual(['modem3 wan a']);
    expect(labels(matchPorts(slot, [modem('a', 3), modem('b', 5)]))).toEqual([
      'modem3 wan a',
      'modem1 wan b',
    ]);
  });

  it('takes what is on a hypervisor\u2019s own bus for built in, where nobody described it', () => {
    const vmbus = '/sys/devices/LNXSYSTM:00/LNXSYBUS:00/ACPI0004:00/VMBUS:00';
    const ports = matchPorts(read('generic'), [
      found('eth1', `${vmbus}/000d3a02-0000-0000-0000-000000000000`),
      found('eth0', `${vmbus}/000d3a01-0000-0000-0000-000000000000`),
      found('lab', undefined, false),
    ]);
    expect(labels(ports)).toEqual(['wan1 wan eth0', 'lan1 lan eth1']);
    const xen = [found('eth0', '/sys/devices/vif-0'), found('eth1', '/sys/devices/vif-1')];
    expect(labels(matchPorts(read('generic'), xen))).toEqual(['wan1 wan eth0', 'lan1 lan eth1']);
  });

  it('takes ports in the order of the machine where nobody described it', () => {
    const ports = matchPorts(read('generic'), [
      found('a', `${PCI}/0000:00:1c.2/0000:03:00.0`),
      found('wlan0', `${PCI}/0000:00:0c.0`, false),
      found('br-7', undefined, false),
      found('b', `${PCI}/0000:00:1c.0/0000:01:00.0`),
      found('stick', `${HUB}/1-3:1.0`),
      found('other', `${HUB}/1-3.2/1-3.2:1.0`),
    ]);
    expect(labels(ports)).toEqual(['wan1 wan b', 'lan1 lan a', 'usb14-3-2 wan other', 'usb14-3 wan stick']);
  });

  it('takes the generic model where the factory named none, and refuses a name without a file', async () => {
    const files = createFiles();
    expect((await readHardwareModel(files, MODELS, '')).model).toBe('generic');
    await expect(readHardwareModel(files, MODELS, 'nobody-s')).rejects.toThrow('no hardware model nobody-s');
    await expect(readHardwareModel(files, MODELS, '../units/x')).rejects.toThrow('no hardware model');
  });
});
