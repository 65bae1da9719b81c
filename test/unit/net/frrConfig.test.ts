/** Owns FRR's text: reading what it prints, naming lines, and the order of a change. */
import { describe, expect, it } from 'vitest';
import {
  frrItemId,
  frrLine,
  parseFrrConfig,
  parseFrrRejections,
  renderFrrConfig,
  renderFrrRemoval,
} from '../../../src/net/frrConfig.ts';

/** As FRR 10.3 printed it. */
const RUNNING = ` mgmtd zebra bgpd staticd bfdd
Building configuration...

Current configuration:
!
frr version 10.3
frr defaults traditional
hostname vm
no ipv6 forwarding
service integrated-vtysh-config
!
route-map from-hub permit 10
 match evpn route-type macip
exit
!
ip route 10.255.0.1/32 10.254.1.1 wg-a 10 bfd profile bfd-50x3
!
router bgp 64512
 bgp router-id 10.255.0.11
 no bgp default ipv4-unicast
 neighbor hubs peer-group
 !
 address-family l2vpn evpn
  neighbor hubs activate
  advertise-all-vni
 exit-address-family
exit
!
bfd
 profile bfd-50x3
  transmit-interval 50
 exit
 !
exit
!
end
`;
const EVPN = ['router bgp 64512', 'address-family l2vpn evpn'];

describe('FRR configuration', () => {
  it('takes what a member shows of its group for the group\u2019s', () => {
    const member =
      'router bgp 64512\n neighbor 10.255.0.13 graceful-restart\n neighbor all graceful-restart\nexit\n';
    expect(parseFrrConfig(`Current configuration:\n${member}`).map(({ spec }) => spec.line)).toEqual([
      'router bgp 64512',
      'neighbor all graceful-restart',
    ]);
  });

  it('reads every line with its context, and nothing that FRR says of itself', () => {
    const read = parseFrrConfig(RUNNING).map(({ spec }) => [...spec.context, spec.line].join(' | '));
    expect(read).toEqual([
      'route-map from-hub permit 10',
      'route-map from-hub permit 10 | match evpn route-type macip',
      'ip route 10.255.0.1/32 10.254.1.1 wg-a 10 bfd profile bfd-50x3',
      'router bgp 64512',
      'router bgp 64512 | bgp router-id 10.255.0.11',
      'router bgp 64512 | no bgp default ipv4-unicast',
      'router bgp 64512 | neighbor hubs peer-group',
      'router bgp 64512 | address-family l2vpn evpn | neighbor hubs activate',
      'router bgp 64512 | address-family l2vpn evpn | advertise-all-vni',
      'bfd | profile bfd-50x3',
      'bfd | profile bfd-50x3 | transmit-interval 50',
    ]);
  });

  it('reads back what it writes', () => {
    const items = parseFrrConfig(RUNNING);
    const again = parseFrrConfig(renderFrrConfig([...items].reverse()).text);
    expect(new Map(again.map((item) => [item.id, item]))).toEqual(
      new Map(items.map((item) => [item.id, item])),
    );
  });

  it('knows a new distance of a nexthop as the same route, and another nexthop as another', () => {
    const route = (text: string) => frrItemId([], `ip route 10.255.0.1/32 ${text}`);
    expect(route('10.254.1.1 wg-a 10 bfd profile x')).toBe(route('10.254.1.1 wg-a 20 bfd profile y'));
    expect(route('10.254.1.1 wg-a 10 bfd profile x')).not.toBe(route('10.254.1.1 wg-b 10 bfd profile x'));
    const context = ['router bgp 1'];
    expect(frrItemId(context, 'neighbor a timers 3 9')).not.toBe(
      frrItemId(context, 'neighbor a timers connect 1'),
    );
  });

  it('opens a group before its members, and the inner context after the outer lines', () => {
    const { text, itemAt } = renderFrrConfig([
      frrLine(EVPN, 'neighbor hubs activate'),
      frrLine(EVPN.slice(0, 1), 'neighbor 10.255.0.1 peer-group hubs'),
      frrLine(EVPN.slice(0, 1), 'neighbor hubs peer-group'),
    ]);
    expect(text.split('\n')).toEqual([
      'router bgp 64512',
      ' neighbor hubs peer-group',
      ' neighbor 10.255.0.1 peer-group hubs',
      ' address-family l2vpn evpn',
      '  neighbor hubs activate',
      ' exit-address-family',
      'exit',
      '',
    ]);
    expect(itemAt.get(5)?.spec.line).toBe('neighbor hubs activate');
  });

  it('removes in reverse, and leaves out what goes with its context', () => {
    const header = 'route-map from-hub permit 10';
    const { text } = renderFrrRemoval([
      frrLine(['router bgp 64512'], 'neighbor hubs peer-group'),
      frrLine([header], 'match evpn route-type macip'),
      frrLine([], header),
      frrLine(EVPN, 'neighbor hubs activate'),
      frrLine(['router bgp 64512'], 'no bgp default ipv4-unicast'),
    ]);
    const removal = [
      'router bgp 64512 | address-family l2vpn evpn | no neighbor hubs activate | exit-address-family | exit',
      'router bgp 64512 | no neighbor hubs peer-group | exit',
      'router bgp 64512 | bgp default ipv4-unicast | exit',
      'no route-map from-hub permit 10 | ',
    ];
    expect(
      text
        .split('\n')
        .map((line) => line.trim())
        .join(' | '),
    ).toBe(removal.join(' | '));
  });

  it('finds the refused lines in what vtysh says, each once, without its warnings', () => {
    const stderr = [
      'line 2: Failure to communicate[13] to bgpd, line:  neighbor 10.255.0.5 activate',
      '',
      '[119|bgpd] Configuration file[/etc/frr/frr.conf] processing failure: 13',
      'line 3: % Unknown command[28]:  neighbor hubs frobnicate 3',
      'line 3: % Unknown command[28]:  neighbor hubs frobnicate 3',
      'line 4: Warning[4]...: early exit from config file',
    ].join('\n');
    const stdout = '[112|mgmtd] sending configuration\n% Specify remote-as or peer-group commands first\n';
    expect(parseFrrRejections(stderr, stdout).map(({ lineNumber }) => lineNumber)).toEqual([2, 3]);
    expect(parseFrrRejections(stderr, stdout)[0]?.reason).toContain('Specify remote-as');
  });
});
