/**
 * The test of an uplink against the real far end, by a real kernel: a box, a provider's router and a controller, each a
 * namespace. Faults are the router's: a smaller MTU with and without ICMP, dropped packets, a NAT of either kind, a
 * captive portal, somebody who intercepts TLS, a DNS server that lies or is silent. This kernel has no netem: delay is
 * not made, only measured.
 */
import { describe, expect, it } from 'vitest';

import {
  CONTROLLER,
  BOX,
  ROUTER,
  NAT_ADDRESS,
  SUBJECT,
  stranger,
  verdicts,
  sentenceOf,
  useUplinkNetwork,
} from './uplinkNetwork.ts';

const net = useUplinkNetwork();
const { startFarEnd, startController, startDns, test, nft, forward } = net;

describe('an uplink that is as it should be', () => {
  it('passes every check, with figures of all, and stays in its budget', async () => {
    await startController();
    await startDns();
    const result = await test();
    expect(verdicts(result)).toEqual({
      address: 'pass',
      gateway: 'pass',
      dns: 'pass',
      controller: 'pass',
      nat: 'pass',
      mtu: 'pass',
      loss: 'pass',
      delay: 'pass',
      jitter: 'pass',
      download: 'pass',
      upload: 'pass',
    });
    expect(result.figures).toMatchObject({
      nat: { kind: 'none', mappedAddress: BOX },
      mtu: { link: 1500, toController: 1500, fromController: 1500 },
      roundTrip: { sent: 100, received: 100, by: 'probe' },
    });
    expect(result.usedBytes).toBeLessThanOrEqual(SUBJECT.budgetBytes);
    expect(result.usedBytes).toBeGreaterThan(SUBJECT.budgetBytes / 2);
  });

  it('of the least budget is tested within it, and fails what its site expects beyond it', async () => {
    await startController();
    await startDns();
    const expectation = { minMtu: 1600 };
    const result = await test({ budgetBytes: 64 * 1024, metered: true, expect: expectation });
    expect(result.usedBytes).toBeLessThanOrEqual(64 * 1024);
    expect(result.verdict).toBe('fail');
    expect(verdicts(result)).toMatchObject({ mtu: 'fail', loss: 'pass', download: 'pass', upload: 'pass' });
  });

  it('is measured once the controller is not busy with other tests any more', async () => {
    await startController(undefined, { busyS: { download: 10, upload: 1 } });
    await startDns();
    const result = await test();
    expect(verdicts(result)).toMatchObject({ download: 'pass', upload: 'pass' });
    expect(result.usedBytes).toBeLessThanOrEqual(SUBJECT.budgetBytes);
  });

  it('says for what it gives up a controller that stays busy', async () => {
    await startController(undefined, { busyS: { download: 3600, upload: 3600 } });
    await startDns();
    const result = await test();
    expect(verdicts(result)).toMatchObject({ download: 'unknown', upload: 'unknown' });
    for (const check of ['download', 'upload'] as const)
      expect(sentenceOf(result, check)).toContain('given up: it asks for 3600 s more');
  });

  it('is tested as far as that goes before the box has an owner', async () => {
    await startController();
    const result = await test({ dns: [] }, false);
    expect(verdicts(result)).toMatchObject({
      address: 'pass',
      gateway: 'pass',
      dns: 'warn',
      nat: 'unknown',
      loss: 'pass',
    });
    expect(result.figures.roundTrip?.by).toBe('ping');
    expect(sentenceOf(result, 'mtu')).toContain('before the box has an owner');
  });
});

describe('an uplink whose router', () => {
  it('knows a smaller MTU on the way back alone shows it in what comes', async () => {
    await startController();
    await net.router.run('ip', 'route', 'replace', '192.0.2.0/24', 'dev', 'lan', 'mtu', 'lock', '1380');
    try {
      // Once for ICMP to be taught, once with what was taught.
      for (let i = 0; i < 2; i += 1) {
        const { figures } = await test();
        expect(figures.mtu?.toController).toBe(1500);
        expect(figures.mtu?.fromController).toBeLessThanOrEqual(1380);
        expect(figures.mtu?.fromController).toBeGreaterThan(1300);
      }
    } finally {
      await net.router.run('ip', 'route', 'replace', '192.0.2.0/24', 'dev', 'lan');
    }
  });

  it('has a smaller MTU behind it and says so is told by it, both ways', async () => {
    await startController();
    await net.router.run('ip', 'link', 'set', 'wan', 'mtu', '1400');
    const { figures, checks } = await test({ expect: { minMtu: 1492 } });
    expect(figures.mtu).toMatchObject({ link: 1500, toController: 1400 });
    expect(figures.mtu?.fromController).toBeLessThanOrEqual(1400);
    expect(checks).toContainEqual(expect.objectContaining({ check: 'mtu', verdict: 'fail' }));
  });

  it('drops what is too large in silence is found out to the byte, each way by itself', async () => {
    await startController();
    await forward(
      'iifname "lan" udp dport 8447 meta length > 1444 drop; iifname "wan" udp sport 8447 meta length > 1333 drop;',
    );
    const { figures } = await test();
    expect(figures.mtu).toMatchObject({ toController: 1444, fromController: 1333 });
  });

  it('drops what is too large of TCP too lets nobody prove who it is, and that is said', async () => {
    await startController();
    await forward('iifname "wan" tcp sport 8446 meta length > 700 drop;');
    expect(sentenceOf(await test(), 'controller')).toContain('most likely packets of full size are lost');
  });

  it('loses every tenth datagram is measured as that', async () => {
    await startController();
    await forward('iifname "lan" udp dport 8447 numgen inc mod 10 == 0 drop;');
    const { figures } = await test({ expect: { maxLossPercent: 5 } });
    expect(figures.roundTrip).toMatchObject({ sent: 100, received: 90, lossPercent: 10 });
  });

  it('lets no UDP out fails by that', async () => {
    await startController();
    await forward('iifname "lan" meta l4proto udp drop;');
    const result = await test();
    expect(verdicts(result)).toMatchObject({ controller: 'pass', loss: 'fail', mtu: 'unknown' });
    expect(sentenceOf(result, 'loss')).toContain('UDP to the controller does not get through');
  });

  it.each([
    ['masquerade', 'same-mapping'],
    ['masquerade fully-random', 'mapping-per-port'],
  ])('has a NAT (%s) is recognised as %s', async (statement, kind) => {
    await startController();
    await nft(
      `table ip nat { chain out { type nat hook postrouting priority 100; oifname "wan" ${statement}; }; }\n`,
    );
    const { figures } = await test();
    expect(figures.nat).toMatchObject({ kind, mappedAddress: NAT_ADDRESS });
  });

  it('sends everybody to a sign-in is a captive portal, by name', async () => {
    await startController();
    await startFarEnd(net.router, { kind: 'portal', address: ROUTER });
    await nft(`table ip nat { chain in { type nat hook prerouting priority -100; iifname "lan" tcp dport 80 dnat to ${ROUTER}; }; }
table ip faults { chain forward { type filter hook forward priority 0; iifname "lan" tcp dport 8446 drop; }; }
`);
    expect(sentenceOf(await test(), 'controller')).toBe(
      `A captive portal answers in the place of ${CONTROLLER}: it sends the box to login.hotel.example.`,
    );
  });

  it('or somebody behind it intercepts TLS is named by its certificate', async () => {
    await startController(stranger);
    const result = await test();
    expect(result.verdict).toBe('fail');
    expect(sentenceOf(result, 'controller')).toContain('with a certificate of Hotel Proxy');
  });

  it('names a DNS server that invents, or none that answers, is told so', async () => {
    await startController();
    expect(verdicts(await test())).toMatchObject({ dns: 'fail', controller: 'pass' });
    await startDns('192.0.2.66');
    const inventing = await test();
    expect(verdicts(inventing)).toMatchObject({ dns: 'warn', controller: 'pass' });
    expect(sentenceOf(inventing, 'dns')).toContain('names that do not exist');
  });

  it('drops what is too large in silence fails by nothing that the least budget could not try', async () => {
    await startController();
    await forward('iifname "lan" udp dport 8447 meta length > 1444 drop;');
    const result = await test({ budgetBytes: 64 * 1024 });
    expect(verdicts(result)).toMatchObject({ mtu: 'unknown', download: 'pass', upload: 'pass' });
    expect(result.figures.mtu).toMatchObject({ isLeast: true });
    expect(result.usedBytes).toBeLessThanOrEqual(64 * 1024);
  });

  it('is dead is named, also while the kernel still has its link address', async () => {
    const gone = ['192.0.2.98', 'lladdr', '02:00:00:00:00:98', 'dev', 'wan1'];
    await net.box.run('ip', 'neigh', 'replace', ...gone, 'nud', 'stale');
    const known = await test({ gateway: '192.0.2.98', targets: [] });
    expect(sentenceOf(known, 'gateway')).toContain('192.0.2.98 does not answer');
    const result = await test({ gateway: '192.0.2.99', targets: [] });
    expect(sentenceOf(result, 'gateway')).toContain('192.0.2.99 does not answer');
  });
});
