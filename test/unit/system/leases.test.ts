/** The reader of leases, held against what dhcpcd's hook writes and a hostile DHCP server can put there. */
import { describe, expect, it } from 'vitest';
import { parseLease } from '../../../src/system/leases.ts';

const TEXT = `reason=BOUND
interface=wan1
new_ip_address=198.51.100.107
new_subnet_cidr=24
new_routers=198.51.100.1
new_domain_name_servers=198.51.100.1 9.9.9.9
new_sztp_redirect=https://controller.branchbox.example:8443
`;

describe('parseLease', () => {
  it('reads what the hook wrote', () => {
    expect(parseLease('wan1', TEXT)).toEqual({
      ifname: 'wan1',
      address: '198.51.100.107/24',
      gateway: '198.51.100.1',
      dns: ['198.51.100.1', '9.9.9.9'],
      bootstrapServers: ['https://controller.branchbox.example:8443'],
    });
  });

  it('takes the mask where there is no prefix length', () => {
    const text = 'new_ip_address=10.1.2.3\nnew_subnet_mask=255.255.254.0\n';
    expect(parseLease('wan1', text)?.address).toBe('10.1.2.3/23');
  });

  it.each([
    ['no address', 'reason=BOUND\nnew_routers=10.0.0.1\n'],
    ['a leading zero', 'new_ip_address=010.0.0.1\nnew_subnet_cidr=24\n'],
    ['a prefix length above 32', 'new_ip_address=10.0.0.1\nnew_subnet_cidr=64\n'],
    ['another interface', TEXT.replace('interface=wan1', 'interface=wan2')],
  ])('is no lease with %s', (_, text) => {
    expect(parseLease('wan1', text)).toBeUndefined();
  });

  it('drops hostile values and keeps the rest', () => {
    const lease = parseLease(
      'wan1',
      TEXT.replace('198.51.100.1 9.9.9.9', '$(reboot) ../x 9.9.9.9').replace(
        'new_routers=198.51.100.1',
        "new_routers='; rm -rf /'",
      ),
    );
    expect(lease?.dns).toEqual(['9.9.9.9']);
    expect(lease?.gateway).toBeUndefined();
  });

  it('refuses a file name that is no interface name', () => {
    expect(parseLease('../../etc/passwd', TEXT)).toBeUndefined();
  });
});
