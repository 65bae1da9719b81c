/** The fake box itself: it must refuse what it has not learned, and be open to more. */
import { expect, test } from 'vitest';
import { createNetDrivers } from '../../../src/net/drivers.ts';
import { external, kernelGate, link, service, wireguard } from '../../../src/net/itemIds.ts';
import { createFakeBox } from '../../fakes/box.ts';
import { fakePublicKey } from '../../fakes/box/wgCommand.ts';

const signal = new AbortController().signal;

test('a command, a word or a line it has not learned is an error, and remembered', async () => {
  const { system, unknown } = createFakeBox();
  await expect(system.runner.run('vtysh', ['-c', 'show run'])).rejects.toThrow('does not know vtysh');
  await expect(system.runner.run('ip', ['link', 'add', 'name', 'x', 'type', 'gre'])).rejects.toThrow('gre');
  await expect(
    system.runner.run('ip', ['-force', '-batch', '-'], { stdin: 'link set dev lan1 arp off\n' }),
  ).rejects.toThrow('the word arp');
  await expect(system.runner.run('nft', ['flush', 'ruleset'])).rejects.toThrow('nft');
  expect(unknown).toHaveLength(4);
});

test('it learns another program', async () => {
  const box = createFakeBox();
  box.command('vtysh', (args, stdin) => ({ exitCode: 0, stdout: `${args.join(' ')} ${stdin}`, stderr: '' }));
  expect(await box.system.runner.runChecked('vtysh', ['-f', '-'], { stdin: 'x' })).toBe('-f - x');
});

test("the kernel's own WireGuard, where it has one", async () => {
  const box = createFakeBox({ ports: [], linkKinds: ['bridge', 'wireguard'] });
  const drivers = createNetDrivers(box.system);
  const tunnel = link({ type: 'wireguard', name: 'wg-a', mtu: 1440, implementation: 'kernel' });
  expect(await drivers.link.create([tunnel], signal)).toEqual([{ id: tunnel.id, ok: true }]);
  const key = 'QGyPc0m4Dz9WVlmF2gTb6hQ0bJx9o3Gn0v0o1Y8mUms=';
  const config = wireguard(
    {
      link: 'wg-a',
      privateKeyFile: '/k',
      publicKey: fakePublicKey(key),
      mark: 0x101,
      listenPort: 7,
      peers: [],
    },
    [tunnel.id],
  );
  const [missing] = await drivers.wireguard.create([config], signal);
  expect(missing?.ok === false && missing.error.code).toBe('system/file');
  box.files.contents.set('/k', key);
  expect(await drivers.wireguard.create([config], signal)).toEqual([{ id: config.id, ok: true }]);
  expect(await drivers.link.observe(signal)).toEqual([tunnel]);
  expect(await drivers.wireguard.observe(signal)).toEqual([config]);
  expect(await box.files.list('/run/branchbox/wireguard')).toEqual([]);
});

test('a kernel without it says so', async () => {
  const drivers = createNetDrivers(createFakeBox().system);
  const tunnel = link({ type: 'wireguard', name: 'wg-a', mtu: 1440, implementation: 'kernel' });
  const [outcome] = await drivers.link.create([tunnel], signal);
  expect(outcome?.ok === false && outcome.error.code).toBe('net/unsupported');
});

test("wireguard-go that never makes its link is given up, and another's link of that name is not taken", async () => {
  const box = createFakeBox();
  const drivers = createNetDrivers(box.system);
  const tunnel = link({ type: 'wireguard', name: 'wg-a', mtu: 1440, implementation: 'userspace' });
  box.services.broken.add('wireguard-go@wg-a.service');
  const [never] = await drivers.link.create([tunnel], signal);
  expect(never?.ok === false && never.error.message).toContain('made no link within');
  box.kernel.addLink({ name: 'wg-b', kind: 'tun' });
  const other = link({ type: 'wireguard', name: 'wg-b', mtu: 1440, implementation: 'userspace' });
  const [taken] = await drivers.link.create([other], signal);
  expect(taken?.ok === false && taken.error.message).toContain('not ours');
  expect(box.services.active()).not.toContain('wireguard-go@wg-b.service');
});

test('services that items ask for: one that failed is missing', async () => {
  const box = createFakeBox();
  const { service: driver } = createNetDrivers(box.system);
  const wanted = service({ unit: 'dhcpcd@wan1.service' });
  await driver.create([wanted], signal);
  expect(await driver.observe(signal)).toEqual([wanted]);
  box.services.kill('dhcpcd@wan1.service', 'failed');
  expect(await driver.observe(signal)).toEqual([]);
  await driver.create([wanted], signal);
  await driver.delete([wanted], signal);
  expect(box.services.active()).toEqual([]);
});

test('gates: links that are not ours, and those of others; none is ever changed', async () => {
  const box = createFakeBox({ ports: ['wan1'] });
  const kernel = external(kernelGate('wireguard'), 'from facts');
  const drivers = createNetDrivers(box.system, { gates: () => [kernel] });
  await drivers.link.create([link({ type: 'bridge', name: 'br-1', mtu: 1390 })], signal);
  const gates = await drivers.external.observe(signal);
  expect(gates.map((gate) => gate.id).toSorted()).toEqual([
    'external:kernel/wireguard',
    'external:port/wan1',
  ]);
  const [outcome] = await drivers.external.delete([kernel], signal);
  expect(outcome?.ok === false && outcome.error.code).toBe('internal');
});
