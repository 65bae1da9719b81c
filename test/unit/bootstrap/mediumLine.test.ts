/** What whoever stands at a box is told of the line that a stick described, and that does not come up. */
import { expect, it } from 'vitest';
import { mediumLineNotices } from '../../../src/bootstrap/mediumLine.ts';
import { NOTICE_MAX_LENGTH } from '../../../src/model/bootstrap.ts';
import { BootstrapNetwork } from '../../../src/model/medium.ts';

const PPPOE = { kind: 'pppoe', user: 'line7@isp', password: 'hunter2' };
const STATIC = { kind: 'static', address: '192.0.2.5/24', gateway: '192.0.2.1', dns: [] };
const told = (network: object, box: Partial<Parameters<typeof mediumLineNotices>[1]> = {}) =>
  mediumLineNotices(BootstrapNetwork.parse({ schema: 1, addressing: { kind: 'dhcp' }, ...network }), {
    isOffline: true,
    wanPorts: ['wan1', 'wan2'],
    ...box,
  }).join();

it.each([
  [{ addressing: PPPOE }, 'the first WAN port: PPPoE, of which the user or the password may be wrong. '],
  [{ addressing: PPPOE, vlan: 7, port: 'wan2' }, 'port wan2: VLAN 7, PPPoE, of which'],
  [{ vlan: 7 }, 'the first WAN port: VLAN 7. '],
  [{ addressing: STATIC }, 'the first WAN port: the address 192.0.2.5/24. '],
  [{ addressing: { kind: 'modem' } }, 'the first modem: no APN. '],
  [{ addressing: { kind: 'modem', apn: 'internet' } }, 'the first modem: the APN internet. '],
])('%j without an address', (network, words) => {
  expect(told(network)).toContain(`The USB medium describes the line of ${words}`);
  expect(told(network)).not.toMatch(/line7|hunter2/);
  expect(told(network, { isOffline: false })).toBe('');
});

it('a port that the box does not have, whether or not it came out by another', () => {
  const words = 'the line of port wan9, and this box has no such WAN port (it has wan1, wan2)';
  for (const isOffline of [true, false]) expect(told({ port: 'wan9' }, { isOffline })).toContain(words);
  // While the agent does not say, nobody knows.
  expect(told({ port: 'wan9' }, { wanPorts: [] })).toBe('');
});

it('nothing where there is no medium, or it says what is done anyway', () => {
  expect(told({})).toBe('');
  expect(mediumLineNotices(undefined, { isOffline: true, wanPorts: ['wan1'] })).toEqual([]);
});

it('in no more words than are shown', () => {
  const apn = 'a'.repeat(63);
  expect(told({ addressing: { kind: 'modem', apn }, port: 'lte1' }, { wanPorts: [] }).length).toBeLessThan(
    NOTICE_MAX_LENGTH,
  );
});
