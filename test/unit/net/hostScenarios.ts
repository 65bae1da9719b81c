/**
 * Owns scenarios of sysctls and WireGuard. They run on the fake box and on a real kernel (scenarios.ts).
 */
import { expect } from 'vitest';
import { address, link, sysctl, wireguard } from '../../../src/net/itemIds.ts';
import { lines, settle, type Scenario } from './bench.ts';

const PEER = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=';

export const HOST_SCENARIOS: readonly Scenario[] = [
  {
    name: 'sysctls go back to what they were',
    async run(bench) {
      const path = '/proc/sys/net/ipv4/conf/lo/rp_filter';
      const before = (await bench.readFile(path))?.trim();
      const strict = sysctl({ key: 'net.ipv4.conf.lo.rp_filter', value: before === '1' ? '2' : '1' });
      await settle(bench, [strict]);
      expect((await bench.readFile(path))?.trim()).toBe(strict.spec.value);
      const report = await bench.converge([strict, sysctl({ key: 'net.ipv4.no_such', value: '1' })]);
      expect([...report.failures.values()].map((error) => error.code)).toEqual(['net/unsupported']);
      await settle(bench, []);
      expect((await bench.readFile(path))?.trim()).toBe(before);
    },
  },
  {
    name: 'a WireGuard interface in userspace, its process killed, its peer changed',
    async run(bench) {
      const { file, publicKey } = await bench.wireguardKey();
      const tunnel = link({ type: 'wireguard', name: 'wg-a', mtu: 1440, implementation: 'userspace' });
      const inside = address({ link: 'wg-a', address: '10.254.0.1/31' }, [tunnel.id]);
      const to = (port: number, mark = 0x101) =>
        wireguard(
          {
            link: 'wg-a',
            privateKeyFile: file,
            publicKey,
            mark,
            peers: [
              {
                publicKey: PEER,
                endpoint: { address: '198.51.100.20', port },
                allowedIps: ['10.254.0.0/32', '10.255.0.0/16'],
                keepaliveS: 25,
              },
            ],
          },
          [tunnel.id],
        );
      const desired = [tunnel, inside, to(51_820)];
      await settle(bench, desired);
      const before = await bench.print();
      expect(before).toContain('link wg-a type tun mtu 1440 up alias branchbox:link:wg-a');
      await bench.killWireguard('wg-a');
      expect((await bench.plan(desired)).steps.length).toBeGreaterThan(0);
      await settle(bench, desired);
      expect(await bench.print()).toBe(before);
      const changed = [tunnel, inside, to(51_821, 0x102)];
      expect((await bench.plan(changed)).steps.map((step) => step.op)).toEqual(['modify']);
      await settle(bench, changed);
      await settle(bench, [tunnel]);
      await settle(bench, []);
      expect(lines(await bench.print())).toEqual(['link lo mtu 65536 up']);
    },
  },
];
