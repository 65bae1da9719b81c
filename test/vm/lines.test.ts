/**
 * A VLAN and a PPPoE session on it, as a bootstrap medium asks for them, in a machine of the image: its kernel, its pppd
 * under the product's own unit, and a real server (Debian's pppoe-server). What is put there is what the product
 * renders; the agent, whose box is in service by other lines, is away meanwhile.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { renderPppoeLines } from '../../src/agent/pppoeLines.ts';
import { itemId } from '../../src/model/ids.ts';
import { BootstrapNetwork } from '../../src/model/medium.ts';
import { link } from '../../src/net/itemIds.ts';
import { observedLinks, parseLinks } from '../../src/net/linkRead.ts';
import { renderAdd, renderDelete, renderFinish } from '../../src/net/linkRender.ts';
import { parseLease } from '../../src/system/leases.ts';
import { inNode, tryIn, until } from '../lab/mainjob/lab.ts';
import { LINE_PASSWORD, LINE_USER, LINE_VLAN, placeProvider, provider, putInBox } from './provider.ts';

const BOX = 'branch2';
const LINK = 'ppp-line0';
const UNIT = `pppoe@${LINK}.service`;
const LEASE = `/run/branchbox/leases/${LINK}.env`;
const CONF = `/run/branchbox/pppoe/${LINK}.conf`;
const VLAN = { type: 'vlan', name: 'line0.7', parent: 'line0', vlan: LINE_VLAN, mtu: 1500 } as const;
const facts = { ports: [{ label: 'line0', role: 'wan', ifname: 'line0', carrier: true } as const] };
const network = BootstrapNetwork.parse({
  schema: 1,
  port: 'line0',
  vlan: LINE_VLAN,
  addressing: { kind: 'pppoe', user: LINE_USER, password: LINE_PASSWORD },
});

const inBox = (script: string): Promise<string> => inNode(BOX, 'sh', '-c', script);
const lease = async () => parseLease(LINK, (await tryIn(BOX, ['cat', LEASE])).stdout);

beforeAll(async () => {
  await inBox('systemctl stop branchbox-agent.service && mkdir -p /run/branchbox/pppoe');
  await placeProvider();
  await provider('up');
}, 20 * 60_000);
afterAll(async () => {
  await tryIn(BOX, ['systemctl', 'stop', UNIT]);
  await tryIn(BOX, ['rm', '-f', CONF]);
  await provider('away');
  await inBox('rm /run/provider.sh; systemctl start branchbox-agent.service');
  // Whoever tests next asks it.
  await until('the agent', async () => (await tryIn(BOX, ['branchbox', 'status'])).exitCode === 0, 120_000);
}, 5 * 60_000);

it('has the VLAN as it was rendered', async () => {
  const lines = [
    ...renderFinish({ type: 'port', name: 'line0', mtu: 1500 }),
    renderAdd(VLAN) ?? '',
    ...renderFinish(VLAN),
  ];
  await putInBox('ip -batch -', `${lines.join('\n')}\n`);
  const found = observedLinks(parseLinks(await inBox('ip -j -d -N address')), new Set());
  expect(found.find(({ id }) => id === 'link:line0.7')).toEqual(link(VLAN, [itemId('link', 'line0')]));
});

it('has a session over it, told as a lease, with nothing of it in sight', async () => {
  await putInBox(
    `umask 077 && cat >${CONF}`,
    renderPppoeLines([{ port: 'line0', vlan: 7, addressing: { kind: 'pppoe' } }], network, facts).get(LINK) ??
      '',
  );
  await inBox(`systemctl start ${UNIT}`);
  await until('a session', lease);
  expect(await lease()).toMatchObject({
    ifname: LINK,
    address: expect.stringMatching(/^203\.0\.113\.5\d\/32$/),
    gateway: '203.0.113.1',
    dns: ['203.0.113.53', '203.0.113.54'],
  });
  expect((await inBox(`cat /sys/class/net/${LINK}/mtu`)).trim()).toBe('1492');
  // 1464 of data, 8 of ICMP and 20 of IP are 1492: all of it, unfragmented, through VLAN and session.
  await inBox(`ping -c 1 -W 5 -M do -s 1464 -I ${LINK} 203.0.113.1`);
  expect(
    (await tryIn(BOX, ['ping', '-c', '1', '-W', '1', '-M', 'do', '-s', '1465', '-I', LINK, '203.0.113.1']))
      .exitCode,
  ).not.toBe(0);
  // No route but the far end's own: the others are the agent's.
  expect(await inBox(`ip -4 route show table all dev ${LINK} | grep -v '^local '`)).toMatch(
    /^203\.0\.113\.1 proto kernel scope link/,
  );
  expect(await inBox(`ip -4 route show table all dev ${LINK} | grep -c default || :`)).toBe('0\n');
  expect(await inBox(`cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c 's3cre[t]' || :`)).toBe('0\n');
  expect(await inBox(`journalctl -b | grep -c 's3cre[t]' || :`)).toBe('0\n');
});

it('tells of no lease where pppd was killed, and has another session after that', async () => {
  await inBox(`systemctl kill --signal=KILL ${UNIT}`);
  await until('no lease', async () => (await lease()) === undefined);
  await until('another session', lease);
});

it('proves itself by PAP to a provider that knows nothing else, and keeps the password out of sight', async () => {
  await provider('pap');
  const before = await inBox("journalctl -b -t pppd | grep -c 'PAP authentication succeeded' || :");
  await inBox(`systemctl restart ${UNIT}`);
  await until('a session by PAP', lease);
  const after = await inBox("journalctl -b -t pppd | grep -c 'PAP authentication succeeded' || :");
  expect(Number(after)).toBeGreaterThan(Number(before));
  expect(await inBox(`journalctl -b | grep -c 's3cre[t]' || :`)).toBe('0\n');
});

it('leaves nothing when it is stopped', async () => {
  await inBox(`systemctl stop ${UNIT}`);
  expect(await lease()).toBeUndefined();
  expect((await tryIn(BOX, ['ip', 'link', 'show', LINK])).exitCode).not.toBe(0);
  await putInBox('ip -batch -', `${renderDelete(VLAN).join('\n')}\n`);
});
