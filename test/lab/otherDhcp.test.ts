/**
 * DHCP servers whose leases lead nowhere, and another one on the same wire: the real client with the words of its unit, and
 * firmware/other-dhcp, between two or three real servers. systemd is a loop that starts the client anew.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { valuesOf } from '../../src/system/leases.ts';
import { createDhcpLine, type DhcpLine, sh, untilChanged } from './dhcpLine.ts';
import { quietRootTree } from './quietRootTree.ts';

const UNIT = readFileSync(join(import.meta.dirname, '../../firmware/units/dhcpcd@.service'), 'utf8');
const CLIENT = (/^ExecStart=(.*)$/m.exec(UNIT)?.[1] ?? '').replaceAll('%i', 'wan1');
const RIGHT = '192.0.2.1';
const ROGUE = '192.0.2.9';
const SECOND = '192.0.2.10';
let tree: string;
let line: DhcpLine;
/** Network namespaces of those servers that are wrong. */
let rogue: string;
let second: string;

beforeAll(async () => {
  tree = await quietRootTree();
});
beforeEach(() => {
  line = createDhcpLine('other', []);
  rogue = `${line.box}-rogue`;
  second = `${line.box}-second`;
  sh(`ip netns add ${rogue}; ip netns add ${second}
      ip -n ${line.provider} link add br0 type bridge; ip -n ${line.provider} link set p0 master br0
      ip -n ${line.provider} link add r1 type veth peer name r0 netns ${rogue}
      ip -n ${line.provider} link set r1 master br0 up; ip -n ${line.provider} link set br0 up
      ip -n ${line.provider} address add ${RIGHT}/24 dev br0
      ip -n ${line.provider} link add s1 type veth peer name s0 netns ${second}
      ip -n ${line.provider} link set s1 master br0 up
      ip -n ${second} address add ${SECOND}/24 dev s0; ip -n ${second} link set s0 up
      ip -n ${rogue} address add ${ROGUE}/24 dev r0; ip -n ${rogue} link set r0 up`);
  for (const name of ['leases', 'leads-nowhere', 'other-dhcp', 'go'])
    mkdirSync(join(line.directory, 'box', name), { recursive: true });
  writeFileSync(join(line.directory, 'box/calls'), '');
  const server = (own: string, from: string): string =>
    `dnsmasq -k -p 0 -C /dev/null --user=root --leasefile-ro --no-ping --dhcp-range=${from},${from},1h --dhcp-option=3,${own}`;
  const dir = 'root/run/branchbox';
  line.start(
    tree,
    ['dhcpcd-hook', 'dhcpcd.conf', 'other-dhcp'],
    `mkdir -p ${dir}; mount --bind box ${dir}
     printf '#!/bin/sh\\necho "$*" >>/run/branchbox/calls\\nkill "$(cat /run/client)"\\n' >root/usr/bin/systemctl.new
     chmod 755 root/usr/bin/systemctl.new; mv root/usr/bin/systemctl.new root/usr/bin/systemctl
     nsenter --net=/run/netns/${rogue} chroot root ${server(ROGUE, '192.0.2.150')} &
     { until [ -e ${dir}/go/second ]; do sleep 0.05; done
       exec nsenter --net=/run/netns/${second} chroot root ${server(SECOND, '192.0.2.160')}; } &
     { until [ -e ${dir}/go/right ]; do sleep 0.05; done; exec ${line.at('provider')} ${server(RIGHT, '192.0.2.50')}; } &
     { until [ -s ${dir}/leads-nowhere/wan1 ]; do sleep 0.05; done
       LOOKS=$(cat ${dir}/go/looks) ${line.at('box')} sh /usr/lib/branchbox/other-dhcp wan1; echo >${dir}/go/over; } &
     while :; do
       OTHER_DHCP=; [ ! -e ${dir}/other-dhcp/wan1 ] || . ./${dir}/other-dhcp/wan1
       ${line.at('box')} ${CLIENT} & echo $! >root/run/client; wait $! || :
     done`,
  );
});
afterEach(async () => {
  await line.remove();
  sh(`ip netns delete ${rogue}; ip netns delete ${second}`);
});

const box = (name: string): string => join(line.directory, 'box', name);
const text = (name: string): Promise<string> => readFile(box(name), 'utf8').catch(() => '');
/** Until a lease of that server is told. */
const leaseOf = (server: string) =>
  untilChanged(box('leases'), async () => {
    const values = valuesOf(await text('leases/wan1.env'));
    return values.get('new_dhcp_server_identifier') === server ? values : undefined;
  });
const isOver = () => untilChanged(box('go'), async () => ((await text('go/over')) === '' ? undefined : true));
/** Whole at once: it is read as soon as it is there. */
function leadsNowhere(server: string): void {
  writeFileSync(box('go/server'), `${server}\n`);
  renameSync(box('go/server'), box('leads-nowhere/wan1'));
}
/** As long as the product waits, where another server is to answer: how busy the machine is does not matter then. */
const waitsForOthers = (looks: number): void => writeFileSync(box('go/looks'), String(looks));
const addresses = (): string => sh(`ip -n ${line.box} -4 -o address show dev wan1`);

it('is left for the other one, whose address alone stays; with the cable it is forgotten', async () => {
  waitsForOthers(30);
  await leaseOf(ROGUE);
  writeFileSync(box('go/right'), '');
  leadsNowhere(ROGUE);
  const lease = await leaseOf(RIGHT);
  expect(lease.get('new_routers')).toBe(RIGHT);
  expect(addresses()).toMatch(/192\.0\.2\.50\/24/);
  expect(addresses()).not.toContain('192.0.2.150');
  expect(await text('other-dhcp/wan1')).toBe(`OTHER_DHCP="-X ${ROGUE}"\n`);
  sh(`ip -n ${line.provider} link set p0 down`);
  await isOver();
  expect(await text('other-dhcp/wan1')).toBe('');
  expect((await text('calls')).trim().split('\n')).toEqual(Array(2).fill('try-restart dhcpcd@wan1.service'));
});

it('is left beside the next one, which is wrong too: the third is the one that stays', async () => {
  waitsForOthers(30);
  await leaseOf(ROGUE);
  writeFileSync(box('go/second'), '');
  leadsNowhere(ROGUE);
  await leaseOf(SECOND);
  writeFileSync(box('go/right'), '');
  leadsNowhere(SECOND);
  await leaseOf(RIGHT);
  expect(addresses()).toMatch(/192\.0\.2\.50\/24/);
  for (const wrong of ['192.0.2.150', '192.0.2.160']) expect(addresses()).not.toContain(wrong);
  expect(await text('other-dhcp/wan1')).toBe(`OTHER_DHCP="-X ${ROGUE} -X ${SECOND}"\n`);
  expect(await text('leads-nowhere/wan1')).toBe('');
  // All are heard again with the cable.
  sh(`ip -n ${line.provider} link set p0 down`);
  await isOver();
  expect(await text('other-dhcp/wan1')).toBe('');
});

it('is taken again where nobody else answers', async () => {
  waitsForOthers(6);
  await leaseOf(ROGUE);
  leadsNowhere(ROGUE);
  await isOver();
  expect(await text('other-dhcp/wan1')).toBe('');
  await leaseOf(ROGUE);
  expect(addresses()).toContain('192.0.2.150/24');
});

it('is let be where its lease is not the one that is held', async () => {
  waitsForOthers(6);
  await leaseOf(ROGUE);
  leadsNowhere(RIGHT);
  await isOver();
  expect(await text('calls')).toBe('');
  expect(await text('leads-nowhere/wan1')).toBe('');
});
