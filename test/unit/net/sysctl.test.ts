/** Where a sysctl stands, whatever its name tries. */
import { expect, test } from 'vitest';
import { sysctlPath } from '../../../src/net/sysctl.ts';

test('sysctl names', () => {
  expect(sysctlPath('net.ipv4.ip_forward')).toBe('/proc/sys/net/ipv4/ip_forward');
  expect(sysctlPath('net.ipv4.conf.eth0/100.rp_filter')).toBe('/proc/sys/net/ipv4/conf/eth0.100/rp_filter');
  expect(() => sysctlPath('net..//../etc/passwd')).toThrow('no sysctl');
});
