/** Static uplinks are told where leases are, come and go with their cable, and leave the DHCP client's alone. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { holdStaticLeases, renderStaticLeases } from '../../../src/agent/staticLeases.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { readLeases6 } from '../../../src/system/leases6.ts';
import { readLeases } from '../../../src/system/leases.ts';

const files = createFiles();
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-leases-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

type Attachment = Parameters<typeof renderStaticLeases>[0][number];
const STATIC: Attachment = {
  port: 'wan1',
  addressing: { kind: 'static', address: '192.0.2.5/28', gateway: '192.0.2.1', dns: ['192.0.2.53'] },
};
const port = (label: string, carrier: boolean) => ({ label, role: 'wan', ifname: label, carrier }) as const;
const hold = (uplinks: Parameters<typeof renderStaticLeases>[0], carrier = true) =>
  holdStaticLeases(
    files,
    directory,
    renderStaticLeases(uplinks, { ports: [port('wan1', carrier), port('wan2', true)] }),
  );
const told = async () =>
  (await readLeases(files, directory)).map(({ ifname, address }) => `${ifname} ${address}`);

it('a static uplink is read as a lease is', async () => {
  await hold([STATIC]);
  expect(await readLeases(files, directory)).toEqual([
    {
      ifname: 'wan1',
      address: '192.0.2.5/28',
      gateway: '192.0.2.1',
      dns: ['192.0.2.53'],
      bootstrapServers: [],
    },
  ]);
});

it('one on a VLAN is told of by the name of that, with the cable of its port', async () => {
  await hold([{ ...STATIC, vlan: 7 }]);
  expect(await told()).toEqual(['wan1.7 192.0.2.5/28']);
  await hold([{ ...STATIC, vlan: 7 }], false);
  expect(await told()).toEqual([]);
});

it('one of IPv6 is read as what a router gave, beside or without IPv4', async () => {
  const six: Attachment = {
    port: 'wan1',
    addressing: { kind: 'none' },
    addressing6: { kind: 'static', address: '2001:db8::5/64', gateway: 'fe80::1', dns: ['2001:db8::53'] },
  };
  await hold([six]);
  expect(await told()).toEqual([]);
  expect(await readLeases6(files, directory)).toEqual([
    {
      ifname: 'wan1',
      address: '2001:db8::5/64',
      gateway: 'fe80::1',
      dns: ['2001:db8::53'],
      bootstrapServers: [],
    },
  ]);
  // Routers advertise from an address of the link; who types a gateway may name any.
  const wide: Attachment['addressing6'] = {
    kind: 'static',
    address: '2001:db8::5/64',
    gateway: '2001:db8::1',
    dns: [],
  };
  await hold([{ ...six, addressing6: wide }]);
  expect((await readLeases6(files, directory)).map(({ gateway }) => gateway)).toEqual(['2001:db8::1']);
  await hold([{ ...six, ...STATIC }]);
  expect(await told()).toEqual(['wan1 192.0.2.5/28']);
  await hold([six], false);
  expect(await readLeases6(files, directory)).toEqual([]);
});

it('goes when its cable does, or when the uplink is static no more', async () => {
  await hold([STATIC]);
  await hold([STATIC], false);
  expect(await told()).toEqual([]);
  await hold([STATIC]);
  await hold([{ port: 'wan1', addressing: { kind: 'dhcp' } }]);
  expect(await told()).toEqual([]);
});

it("leaves what the DHCP client's hook wrote, but where the same interface is static now", async () => {
  const lease = (name: string) =>
    writeFile(join(directory, `${name}.env`), `reason=BOUND\ninterface=${name}\nnew_ip_address=10.0.0.2\n`);
  await lease('wan1');
  await lease('wan2');
  await hold([STATIC]);
  expect(await told()).toEqual(['wan1 192.0.2.5/28', 'wan2 10.0.0.2/32']);
});
