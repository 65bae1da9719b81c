/** The test of an uplink of IPv6, against the real far end by a real kernel (uplinkNetwork.ts). */
import { describe, expect, it } from 'vitest';

import { SIX, SUBJECT, SUBJECT6, verdicts, useUplinkNetwork } from './uplinkNetwork.ts';

const net = useUplinkNetwork();
const { forgetSix, startFarEnd, startController6, test, nft } = net;

describe('an uplink of IPv6', () => {
  it('passes every check, by its own way out and with probes as large as of IPv4', async () => {
    await startController6();
    await startFarEnd(net.router, { kind: 'dns', address: SIX.router });
    const result = await test(SUBJECT6);
    expect(result.checks.filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
    expect(result.figures).toMatchObject({
      address: `${SIX.box}/64`,
      gateway: SIX.onLink,
      controller: { address: SIX.controller },
      nat: { kind: 'none', mappedAddress: SIX.box },
      mtu: { link: 1500, toController: 1500, fromController: 1500 },
      roundTrip: { sent: 100, received: 100, by: 'probe' },
    });
    expect(result.usedBytes).toBeLessThanOrEqual(SUBJECT.budgetBytes);
  });

  it('is told by its router of a smaller MTU, and finds out one that is kept from it', async () => {
    await startController6();
    await net.router.run('ip', 'link', 'set', 'wan', 'mtu', '1400');
    const told = await test(SUBJECT6);
    expect(told.figures.mtu).toMatchObject({ link: 1500, toController: 1400 });
    expect(told.figures.mtu?.fromController).toBeLessThanOrEqual(1400);
    await net.router.run('ip', 'link', 'set', 'wan', 'mtu', '1500');
    await forgetSix();
    await nft(`table ip6 faults { chain forward { type filter hook forward priority 0;
      iifname "lan" udp dport 8447 meta length > 1444 drop; iifname "wan" udp sport 8447 meta length > 1333 drop; }; }\n`);
    const { figures } = await test(SUBJECT6);
    expect(figures.mtu).toMatchObject({ toController: 1444, fromController: 1333 });
  });

  it('without a router that answers, says so', async () => {
    const result = await test({ ...SUBJECT6, gateway: 'fe80::dead' });
    expect(verdicts(result)).toMatchObject({ address: 'pass', gateway: 'fail', controller: 'fail' });
  });
});
