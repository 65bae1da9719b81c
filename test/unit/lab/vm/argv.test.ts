import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { renderProbe, provesKvm } from '../../../../src/lab/vm/accelerator.ts';
import { PORT_SLOTS, renderQemu, renderSwtpm } from '../../../../src/lab/vm/argv.ts';
import { execPortName, machinePaths } from '../../../../src/lab/vm/machinePaths.ts';
import { machineSpec } from '../../../../src/lab/vm/machineSpec.ts';
import { labPaths } from '../../../../src/lab/paths.ts';
import { parseTopology, TOPOLOGIES_DIRECTORY } from '../../../../src/lab/topology.ts';
import { planWiring } from '../../../../src/lab/wiring.ts';
import { macOf } from '../../../../src/model/ids.ts';

const CHECKOUT = join(import.meta.dirname, '../../../..');
const topology = parseTopology(readFileSync(join(TOPOLOGIES_DIRECTORY, 'vm/topology.toml'), 'utf8'), 'vm');
const node = topology.nodes.find(({ name }) => name === 'branch2');
const spec = node === undefined ? undefined : machineSpec(topology, node);
if (spec === undefined) throw new Error('branch2 of topology vm is no machine');
const paths = machinePaths(labPaths('try'), 'branch2');
const render = (overrides: Partial<Parameters<typeof renderQemu>[0]> = {}): string[] =>
  renderQemu({
    machine: spec,
    paths,
    firmware: { code: '/firmware.fd' },
    accelerator: 'tcg',
    disk: { kind: 'qcow2', path: paths.disk },
    ...overrides,
  });
/** What follows each `-option`. */
const valuesOf = (words: readonly string[], option: string): string[] =>
  words.flatMap((word, index) => (word === option ? [words[index + 1] ?? ''] : []));

describe('QEMU’s words', () => {
  it('put each port’s NIC where the hardware model looks for it, with the address that providers know', () => {
    const model = parse(readFileSync(join(CHECKOUT, 'firmware/models/qemu.toml'), 'utf8'));
    const ports = model['ports'] as { label: string; match: { path: string } }[];
    const wanted = Object.entries(PORT_SLOTS).map(
      ([label, slot]) => `${label} 0000:00:${slot.toString(16)}.0`,
    );
    expect(ports.map(({ label, match }) => `${label} ${match.path}`)).toEqual(wanted);
    const nics = valuesOf(render(), '-device').filter((word) => word.startsWith('virtio-net-pci'));
    expect(nics).toHaveLength(6);
    expect(nics[0]).toBe(
      `virtio-net-pci,id=nic-wan1,netdev=wan1,mac=${macOf('branch2.wan1')},addr=0x10,romfile=`,
    );
    expect(nics[2]).toContain('addr=0x14');
  });

  it('use taps that the wiring makes', () => {
    const lines = planWiring(topology).before.get('branch2') ?? [];
    const taps = valuesOf(render(), '-netdev').map((word) => /ifname=([^,]+)/.exec(word)?.[1]);
    for (const tap of taps) expect(lines).toContain(`tuntap add dev ${tap} mode tap`);
  });

  it('honour the guest’s flushes, and never write the firmware', () => {
    const drives = valuesOf(render(), '-drive');
    expect(drives.join('\n')).not.toMatch(/cache=(unsafe|none|directsync)/);
    expect(drives.find((word) => word.includes('id=disk'))).toContain('cache=writeback');
    expect(drives.find((word) => word.includes('/firmware.fd'))).toContain('readonly=on');
  });

  it('take the disk from a server where one is there', () => {
    const drives = valuesOf(render({ disk: { kind: 'nbd', socket: '/run/x.sock' } }), '-drive');
    expect(drives.find((word) => word.includes('id=disk'))).toContain('file=nbd+unix:///?socket=/run/x.sock');
  });

  it('have a TPM only where the topology wants one', () => {
    expect(render().join(' ')).toContain('tpm-crb');
    expect(render({ machine: { ...spec, tpm: false } }).join(' ')).not.toContain('tpm');
    expect(renderSwtpm(paths)).toContain('--terminate');
  });

  it('use KVM only when told so', () => {
    expect(valuesOf(render(), '-accel')).toEqual(['tcg,thread=multi']);
    expect(valuesOf(render({ accelerator: 'kvm' }), '-accel')).toEqual(['kvm']);
  });

  it('give every command channel a port with a name that guest-exec.pl looks for', () => {
    const code = readFileSync(join(CHECKOUT, 'src/lab/vm/guest-exec.pl'), 'utf8');
    const pattern = /=~ \/(\^branchbox[^/]+)\//.exec(code)?.[1] ?? 'none';
    const ports = valuesOf(render(), '-device').filter((word) => word.startsWith('virtserialport'));
    expect(ports.length).toBeGreaterThan(1);
    for (const [index, port] of ports.entries()) {
      expect(port).toContain(`name=${execPortName(index)}`);
      expect(execPortName(index)).toMatch(new RegExp(pattern));
    }
  });
});

describe('the probe for KVM', () => {
  it('believes a kernel that got as far as its root, and nothing less', () => {
    expect(renderProbe('/k').join(' ')).toContain('-accel kvm');
    expect(provesKvm('Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)')).toBe(
      true,
    );
    expect(provesKvm('[    0.000000] Linux version 6.12\nKVM internal error. Suberror: 1')).toBe(false);
  });
});

describe('a machine’s cables', () => {
  const wiring = planWiring(topology);
  const ends = wiring.cables.map(({ a }) => a).filter(({ node: at }) => at === 'branch2');

  it('lead to bridges that add nothing, and leave the NIC’s address to the NIC', () => {
    expect(wiring.silent).toEqual(['branch2']);
    expect(ends).toHaveLength(6);
    for (const { ifname, mac, setUp } of ends) {
      expect(mac).not.toBe(macOf(`branch2.${ifname}`));
      expect(setUp.join('\n')).toContain(`master b-${ifname}`);
    }
  });

  it('knows which of its LAN ports nobody is plugged into', () => {
    expect(spec.unplugged).toEqual(['lan3', 'lan4']);
  });

  it('is a gateway’s alone, and has the ports of its hardware alone', () => {
    const text = readFileSync(join(TOPOLOGIES_DIRECTORY, 'vm/topology.toml'), 'utf8');
    const wrong = (from: string, to: string) => () => parseTopology(text.replace(from, to), 'wrong');
    expect(wrong('name = "internet-host"\n', 'name = "internet-host"\nmachine = "vm"\n')).toThrow(
      expect.objectContaining({
        problems: expect.arrayContaining([
          expect.objectContaining({ message: 'only a gateway can be a virtual machine' }),
        ]),
      }),
    );
    expect(
      wrong(
        'machine = "vm"\nuplinks = [\n  { name = "internet", port = "wan1"',
        'machine = "vm"\nuplinks = [\n  { name = "internet", port = "wan7"',
      ),
    ).toThrow(
      expect.objectContaining({
        problems: expect.arrayContaining([
          expect.objectContaining({ message: expect.stringContaining('no port wan7') }),
        ]),
      }),
    );
  });
});
