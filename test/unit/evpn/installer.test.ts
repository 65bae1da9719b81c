/** The LAN side of a box that is not enrolled: which addresses, and that all of it goes with the owner's arrival. */
import { expect, it } from 'vitest';
import { renderBox } from '../../../src/agent/items.ts';
import { renderInstaller } from '../../../src/evpn/installer.ts';
import { isInstallerAddress, planInstallerPorts } from '../../../src/model/installer.ts';
import { presentGates } from '../../../src/net/gates.ts';
import { itemOf, planItems } from '../../../src/reconcile/plan.ts';
import { appFacts } from '../../lab/appSpec.ts';

const base = appFacts();
const facts = {
  ...base,
  ports: [
    { label: 'wan1', role: 'wan', ifname: 'wan1', carrier: true },
    { label: 'lan1', role: 'lan', ifname: 'enp3s0', carrier: true },
    { label: 'lan2', role: 'lan', carrier: false },
  ] as const satisfies typeof base.ports,
  leases: [],
};
const lease = (address: string) => ({
  ifname: 'wan1',
  address,
  gateway: '192.0.2.1',
  dns: [],
  bootstrapServers: [],
});

it('gives each LAN port a network of its own, and no WAN port any', () => {
  expect(planInstallerPorts({ ...facts, ports: [...facts.ports] })).toEqual([
    { label: 'lan1', ifname: 'enp3s0', address: '172.31.254.1/28' },
    { label: 'lan2', ifname: 'lan2', address: '172.31.254.17/28' },
  ]);
  expect(isInstallerAddress('172.31.254.17')).toBe(true);
  expect(isInstallerAddress('198.51.100.7')).toBe(false);
});

it('keeps out of the way of a provider that uses the same addresses', () => {
  const first = (...addresses: string[]) =>
    planInstallerPorts({ ports: [...facts.ports], leases: addresses.map(lease) })[0]?.address;
  expect(first('172.31.254.9/16')).toBe('10.254.254.1/28');
  expect(first('172.16.0.9/12', '10.0.0.7/8')).toBe('192.168.254.1/28');
});

it('starts a DHCP server by an instance that names port and address', () => {
  const units = renderInstaller({ ...facts, ports: [...facts.ports] }).flatMap((item) =>
    item.kind === 'service' ? [item.spec.unit] : [],
  );
  expect(units).toEqual([
    'branchbox-installer-dhcp@enp3s0:172.31.254.1.service',
    'branchbox-installer-dhcp@lan2:172.31.254.17.service',
    'branchbox-installer-page.service',
  ]);
});

it('wants none of it from the moment the box has an owner', () => {
  const found = { ...facts, ports: [...facts.ports] };
  const before = renderBox(undefined, found, undefined).map((item) => ({
    ...item,
    needs: item.needs.filter((need) => need.startsWith('nft-')),
  }));
  const { steps } = planItems(
    renderBox(undefined, found, 'branch1'),
    [...before, ...presentGates(found)],
    () => false,
  );
  const gone = steps.filter(({ op }) => op === 'delete').map((step) => itemOf(step).id as string);
  for (const id of [
    'address:enp3s0/172.31.254.1/28',
    'link:enp3s0',
    'nft-element:inet/installer_ports/enp3s0',
    'service:branchbox-installer-dhcp@enp3s0:172.31.254.1.service',
    'service:branchbox-installer-page.service',
  ]) {
    expect(gone).toContain(id);
  }
  expect(steps.filter(({ op }) => op !== 'delete').map((step) => itemOf(step).id as string)).toEqual([
    'nft-chain:inet/installer_input',
  ]);
});
