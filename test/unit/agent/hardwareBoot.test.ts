/** A machine at boot: the interfaces that the agent reads, and that boot-uplinks asks for addresses where the agent finds WAN ports. */
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
  matchPorts,
  namedInterfaces,
  parseHardwareModel,
  readHardwareModel,
} from '../../../src/agent/hardware.ts';
import { readInterfaces } from '../../../src/agent/interfaces.ts';
import { createFiles } from '../../../src/system/linux/files.ts';

const FIRMWARE = join(import.meta.dirname, '../../../firmware');
const MODELS = join(FIRMWARE, 'models');
const names = readdirSync(MODELS).map((file) => file.replace(/\.toml$/, ''));
const NEW_MODEL = `
model = "new-box"
standing = "tried"
[[ports]]
label = "wan1"
role = "wan"
match.path = "0000:00:1c.6/00.0"
`;

/** A device at that place. */
function deviceAt(place: string): string {
  const [, controller, ports] = /^usb-(.+?)-([\d.]+)$/.exec(place) ?? [];
  if (controller === undefined || ports === undefined) {
    const [root = '', ...hops] = place.split('/');
    const below = hops.map((hop, depth) => `0000:${(0xa0 + depth).toString(16)}:${hop}`);
    return ['sys/devices', `pci${root.slice(0, 7)}`, root, ...below].join('/');
  }
  const chain = ports.split('.').map((_port, depth, all) => `9-${all.slice(0, depth + 1).join('.')}`);
  return `sys/devices/pci0000:00/${controller}/usb9/${chain.join('/')}/9-${ports}:1.0`;
}

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
  const card = (ifname: string, device: string, driver = 'igb', devPort = 0): void => {
    const own = `${device}/net/${ifname}`;
    put(`${own}/type`, '1\n');
    put(`${own}/dev_port`, `${devPort}\n`);
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
  /** A card at each place that a model names, whatever places those are. */
  const standAt = (name: string): void => {
    const model = parseHardwareModel(readFileSync(join(MODELS, `${name}.toml`), 'utf8'), name);
    for (const [index, { match }] of model.ports.entries()) {
      if (!('path' in match)) continue;
      const [place = '', port] = match.path.split('#');
      card(`own${index}`, deviceAt(place), 'igb', Number(port ?? 0));
    }
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

  it('of a hardware model that is not there fails, and says so', () => {
    put('etc/branchbox/factory/model', 'of-another-version\n');
    expect(bootUplinks).toThrow(/of-another-version\.toml cannot be read/);
  });

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
      if (name !== undefined) {
        put('etc/branchbox/factory/model', `${name}\n`);
        standAt(name);
      }
      const wanted = await wanPorts();
      expect(wanted.length).toBeGreaterThan(0);
      expect(bootUplinks()).toEqual(wanted);
    },
  );

  it('asks on one of two interfaces at a place, and on none for a tenant\u2019s port in another form', async () => {
    const ports = (first: string, second: string): string =>
      `model = "new-box"\nstanding = "tried"\n${first}${second}`;
    const lan = '[[ports]]\nlabel = "lan1"\nrole = "lan"\nmatch.path = "0000:07:00.0"\n';
    const wan = '[[ports]]\nlabel = "wan1"\nrole = "wan"\nmatch.path = "0000:00:1c.6/00.0"\n';
    put('etc/branchbox/factory/model', 'new-box\n');
    put('usr/lib/branchbox/models/new-box.toml', ports(lan, wan));
    expect([await wanPorts(), bootUplinks()]).toEqual([[], []]);
    card('hop6x', 'sys/devices/pci0000:00/0000:00:1c.6/0000:07:00.0');
    const second = ['dhcpcd@hop6x.service'];
    expect([await wanPorts(), bootUplinks()]).toEqual([second, second]);
    put('usr/lib/branchbox/models/new-box.toml', ports('', wan));
    const first = ['dhcpcd@hop6.service'];
    expect([await wanPorts(), bootUplinks()]).toEqual([first, first]);
  });

  it('asks on the port of a PCI function that the model names by its number', async () => {
    const device = 'sys/devices/pci0000:00/0000:00:1b.0/0000:0b:00.0';
    card('quad0', device, 'mlx4_core', 1);
    card('quad1', device, 'mlx4_core', 0);
    card('quad2', device, 'mlx4_core', 12);
    put('etc/branchbox/factory/model', 'new-box\n');
    for (const [place, ifname] of [
      ['0000:00:1b.0/00.0#0', 'quad1'],
      ['0000:0b:00.0#1', 'quad0'],
      ['0000:0b:00.0#12', 'quad2'],
    ] as const) {
      put('usr/lib/branchbox/models/new-box.toml', NEW_MODEL.replace('0000:00:1c.6/00.0', place));
      const own = [`dhcpcd@${ifname}.service`];
      expect([await wanPorts(), bootUplinks()]).toEqual([own, own]);
    }
    put('usr/lib/branchbox/models/new-box.toml', NEW_MODEL.replace('0000:00:1c.6/00.0', '0000:0b:00.0#2'));
    expect([await wanPorts(), bootUplinks()]).toEqual([[], []]);
  });

  it('asks on the first card of a hypervisor\u2019s own bus', async () => {
    rmSync(join(root, 'sys'), { recursive: true });
    for (const guid of ['000d3a02', '000d3a01'])
      card(`net${guid}`, `sys/devices/LNXSYSTM:00/VMBUS:00/${guid}`, 'hv_netvsc');
    expect(await wanPorts()).toEqual(['dhcpcd@net000d3a01.service']);
    expect(bootUplinks()).toEqual(['dhcpcd@net000d3a01.service']);
  });

  it('takes a model that was only added as a file', async () => {
    put('usr/lib/branchbox/models/new-box.toml', NEW_MODEL);
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
