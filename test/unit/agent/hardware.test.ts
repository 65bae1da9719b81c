import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type FoundInterface,
  matchPorts,
  namedInterfaces,
  parseHardwareModel,
  placesOf,
  readHardwareModel,
} from '../../../src/agent/hardware.ts';
import { readInterfaces } from '../../../src/agent/interfaces.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { createFiles } from '../../../src/system/linux/files.ts';

const FIRMWARE = join(import.meta.dirname, '../../../firmware');
const MODELS = join(FIRMWARE, 'models');
const names = readdirSync(MODELS).map((file) => file.replace(/\.toml$/, ''));
const read = (name: string) =>
  parseHardwareModel(readFileSync(join(MODELS, `${name}.toml`), 'utf8'), `${name}.toml`);

const found = (
  ifname: string,
  device: string | undefined,
  isWired = true,
  isModem = false,
): FoundInterface => ({
  ifname,
  device,
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

describe('hardware models', () => {
  it.each(names)('%s decodes and is named as its file', (name) => {
    expect(read(name).model).toBe(name);
  });

  it('refuse what cannot be meant', () => {
    const cases: readonly (readonly [from: string, to: string, problem: string])[] = [
      ['"lan1"\nrole', '"wan1"\nrole', 'labels must differ'],
      ['match.interface = "lan1"', 'match.path = "0000:03:00.0"', 'places must differ'],
      ['"0000:03:00.0"', '"eth0"', 'a place such as'],
      ['"tried"', '"documented"', 'name its sources'],
      ['standing = "tried"', 'standing = "tried"\ndiscover = ["pci"]', 'which of them would be the first'],
      ['= "test"', '= "../test"', 'lower-case letters'],
      [MODEL, 'model = "test"\nstanding = "tried"', 'no port'],
      [MODEL, '= = =', 'is not TOML'],
    ];
    for (const [from, to, problem] of cases) {
      let message = 'taken';
      try {
        parseHardwareModel(MODEL.replace(from, to), 'test.toml');
      } catch (thrown) {
        if (!(thrown instanceof BranchboxError)) throw thrown;
        message = `${thrown.message} ${thrown.problems.map((one) => one.message).join(' ')}`;
      }
      expect(message).toContain(problem);
    }
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

/** A machine in a directory: /sys as the kernel shows it, the models, and what the factory wrote. */
describe('a machine at boot', () => {
  let root: string;
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const link = (path: string, to: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(relative(dirname(join(root, path)), join(root, to)), join(root, path));
  };
  const card = (ifname: string, device: string, driver = 'igb'): void => {
    const own = `${device}/net/${ifname}`;
    put(`${own}/type`, '1\n');
    put(`${own}/address`, '02:00:00:00:00:01\n');
    mkdirSync(join(root, 'sys/bus/drivers', driver), { recursive: true });
    link(`${own}/device`, device);
    try {
      link(`${device}/driver`, `sys/bus/drivers/${driver}`);
    } catch {
      // The second interface of one device.
    }
    link(`sys/class/net/${ifname}`, own);
  };
  const bootUplinks = (): string[] => {
    const log = join(root, 'started');
    put('bin/systemctl', `#!/bin/sh\nfor word; do :; done\necho "$word" >>${log}\n`);
    writeFileSync(log, '');
    execFileSync('chmod', ['+x', join(root, 'bin/systemctl')]);
    execFileSync('/bin/sh', [join(FIRMWARE, 'boot-uplinks'), root], {
      env: { PATH: `${root}/bin:${process.env['PATH'] ?? ''}` },
    });
    return readFileSync(log, 'utf8').split('\n').filter(Boolean).toSorted();
  };
  const wanPorts = async (): Promise<string[]> => {
    const files = createFiles();
    const name = (await files.readText(join(root, 'etc/branchbox/factory/model')))?.trim() ?? '';
    const model = await readHardwareModel(files, join(root, 'usr/lib/branchbox/models'), name);
    const net = join(root, 'sys/class/net');
    const ports = matchPorts(model, await readInterfaces(files, namedInterfaces(model), net));
    return (
      ports
        // A modem has to be dialled first, which is the agent's.
        .flatMap(({ role, ifname, modem }) =>
          role === 'wan' && ifname !== undefined && modem === undefined ? [`dhcpcd@${ifname}.service`] : [],
        )
        .toSorted()
    );
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'machine-'));
    cpSync(MODELS, join(root, 'usr/lib/branchbox/models'), { recursive: true });
    for (let port = 0; port < 8; port += 1) {
      card(`root${port}`, `sys/devices/pci0000:00/0000:00:1${port}.0/virtio${port}`, 'virtio_net');
      card(`hop${port}`, `sys/devices/pci0000:00/0000:00:1c.${port}/0000:0${port + 1}:00.0`);
      card(`apu${port}`, `sys/devices/pci0000:00/0000:00:02.${port}/0000:2${port}:00.0`);
    }
    card('stick', 'sys/devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0', 'cdc_ether');
    card('modem', 'sys/devices/pci0000:00/0000:00:14.0/usb1/1-5/1-5:1.4', 'qmi_wwan');
    card('slot', 'sys/devices/pci0000:00/0000:00:14.0/usb1/1-5/1-5:1.5', 'cdc_ether');
    card('radio', 'sys/devices/pci0000:00/0000:00:01.0', 'ath9k');
    put('sys/devices/pci0000:00/0000:00:01.0/ieee80211/phy0/index', '0\n');
    link(
      'sys/devices/pci0000:00/0000:00:01.0/net/radio/phy80211',
      'sys/devices/pci0000:00/0000:00:01.0/ieee80211/phy0',
    );
    put('sys/devices/virtual/net/wan1/type', '1\n');
    link('sys/class/net/wan1', 'sys/devices/virtual/net/wan1');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('reads of a tunnel or bridge no more than that it has no device, unless a port has its name', async () => {
    put('sys/devices/virtual/net/wg0/type', '1\n');
    link('sys/class/net/wg0', 'sys/devices/virtual/net/wg0');
    const read: string[] = [];
    const real = createFiles();
    const files = { ...real, readText: (path: string) => (read.push(path), real.readText(path)) };
    const found = await readInterfaces(files, new Set(['wan1']), join(root, 'sys/class/net'));
    expect(found.map(({ ifname }) => ifname)).toEqual(expect.arrayContaining(['wan1', 'root0']));
    expect(found.map(({ ifname }) => ifname)).not.toContain('wg0');
    expect(read.filter((path) => path.includes('/wg0/'))).toEqual([]);
  });

  it.each([...names, undefined])(
    'asks for addresses on the WAN ports that the agent finds: %s',
    async (name) => {
      if (name !== undefined) put('etc/branchbox/factory/model', `${name}\n`);
      const wanted = await wanPorts();
      expect(wanted.length).toBeGreaterThan(0);
      expect(bootUplinks()).toEqual(wanted);
    },
  );

  it('takes a model that was only added as a file', async () => {
    put(
      'usr/lib/branchbox/models/new-box.toml',
      MODEL.replace('"test"', '"new-box"').replace('0000:03:00.0', '0000:00:1c.6/00.0'),
    );
    put('etc/branchbox/factory/model', 'new-box\n');
    expect(await wanPorts()).toEqual(['dhcpcd@hop6.service']);
    expect(bootUplinks()).toEqual(['dhcpcd@hop6.service']);
  });

  it('starts what the agent noted, and nothing where the agent holds a state without a note', () => {
    put('var/lib/branchbox/agent/committed.jws', 'x');
    expect(bootUplinks()).toEqual([]);
    put('var/lib/branchbox/agent/boot-units', 'dhcpcd@hop1.service\nrm@x.service\n');
    expect(bootUplinks()).toEqual(['dhcpcd@hop1.service']);
  });

  it('starts what the agent noted once its driver brought it, and nothing on what never came', async () => {
    put('var/lib/branchbox/agent/boot-units', 'dhcpcd@late.service\ndhcpcd6@never.service\n');
    put('bin/udevadm', '#!/bin/sh\nfor word; do :; done\ntest "$word" = /sys/class/net/late\n');
    execFileSync('chmod', ['+x', join(root, 'bin/udevadm')]);
    // Where nobody brings devices, in a node of a lab, nobody waits for one.
    expect(bootUplinks()).toEqual([]);
    mkdirSync(join(root, 'run/udev'), { recursive: true });
    const udev = createServer().listen(join(root, 'run/udev/control'));
    await once(udev, 'listening');
    expect(bootUplinks()).toEqual(['dhcpcd@late.service']);
    udev.close();
  });
});
