/** What DHCP's time servers become for chrony: one directive a line and an address in it, whatever was on the wire. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const FIRMWARE = join(import.meta.dirname, '../../../firmware');
let directory: string;
const put = (name: string): string => {
  const text = readFileSync(join(FIRMWARE, name), 'utf8')
    .replaceAll('/run/branchbox', directory)
    .replaceAll('/run/chrony', join(directory, 'chrony'))
    .replaceAll('/usr/lib/branchbox', directory);
  writeFileSync(join(directory, name), text, { mode: 0o755 });
  return join(directory, name);
};
let script: string;
let hook: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-time-'));
  script = put('time-servers');
  hook = put('dhcpcd-hook');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const name = (...words: readonly string[]): void => void execFileSync('/bin/sh', [script, ...words]);
const sources = (): string => join(directory, 'chrony-dhcp');
const told = (file = 'wan1.ipv4'): readonly string[] => {
  const path = join(sources(), `${file}.sources`);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
};
/** As dhcpcd calls it. */
const tell = (reason: string, values: Readonly<Record<string, string>> = {}): void =>
  void execFileSync('/bin/sh', [hook], {
    env: { PATH: process.env['PATH'], interface: 'wan1', reason, ...values },
  });

describe('time servers', () => {
  it('are what chrony may read, fewer than it has of its pool', () => {
    name('wan1', '4', '192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.3');
    expect(told()).toEqual(['server 192.0.2.1 minpoll 5', 'server 192.0.2.2 minpoll 5']);
    expect(statSync(join(sources(), 'wan1.ipv4.sources')).mode & 0o777).toBe(0o644);
    expect(readdirSync(sources())).toEqual(['wan1.ipv4.sources']);
    name('wan1', '6', '2001:db8::1', '2001:db8::2');
    expect(told('wan1.ipv6')).toEqual(['server 2001:db8::1 minpoll 5']);
    name('wan1', '4');
    expect(readdirSync(sources())).toEqual(['wan1.ipv6.sources']);
  });

  it.each([
    '',
    'pool',
    'time.example',
    '192.0.2.1 trust',
    '192.0.2.1\nserver 192.0.2.9',
    '192.0.2.1;reboot',
    '$(id)',
    '*',
    '192.0.2',
    '192.0.2.1.1',
    '192.0.2.256',
    '192.0.2.01',
    '192.0.2.',
    '.192.0.2',
    '192..0.2',
    '0.0.0.0',
    '127.0.0.1',
    '224.0.1.1',
    '255.255.255.255',
    '2001:db8::1',
    '-h',
  ])('of IPv4 are never %j', (value) => {
    name('wan1', '4', value, '192.0.2.7');
    expect(told()).toEqual(['server 192.0.2.7 minpoll 5']);
  });

  it.each([
    '::',
    '::1',
    'fe80::1',
    'fe80::1%wan1',
    'ff02::101',
    '::ffff:192.0.2.1',
    '2001:db8:::1',
    '2001::db8::1',
    '2001:db8:1',
    '2001:db8:1:2:3:4:5:6:7',
    '2001:db8::12345',
    '2001:db8::1 trust',
    '2001:db8::1\nserver 2001:db8::9',
    '2001:db8:1:2:3:4:5:',
    '192.0.2.1',
  ])('of IPv6 are never %j', (value) => {
    name('wan1', '6', value, '2001:db8:1:2:3:4:5:6');
    expect(told('wan1.ipv6')).toEqual(['server 2001:db8:1:2:3:4:5:6 minpoll 5']);
  });

  it.each(['../wan1', '.wan1', 'wan 1', 'wan1\nx', ''])(
    'of an interface %j belong to nobody',
    (interfaceName) => {
      name(interfaceName, '4', '192.0.2.1');
      expect(existsSync(sources())).toBe(false);
    },
  );

  it('are read anew by a chrony that runs when they changed, and only then', async () => {
    mkdirSync(join(directory, 'chrony'));
    const log = join(directory, 'calls');
    const chronyc = join(directory, 'chronyc');
    writeFileSync(chronyc, `#!/bin/sh\necho "$@" >>${log}\nexit 1\n`);
    chmodSync(chronyc, 0o755);
    const call = (...words: readonly string[]) =>
      execFileSync('/bin/sh', [script, ...words], {
        env: { PATH: `${directory}:${process.env['PATH'] ?? ''}` },
      });
    call('wan1', '4', '192.0.2.1');
    expect(existsSync(log)).toBe(false);
    const socket = join(directory, 'chrony/chronyd.sock');
    const chronyd = createServer().listen(socket);
    await new Promise((resolve) => chronyd.once('listening', resolve));
    call('wan1', '4', '192.0.2.1');
    expect(existsSync(log)).toBe(false);
    call('wan1', '4', '192.0.2.2');
    call('wan1', '4');
    call('wan1', '4');
    const words = `-h ${socket} reload sources`;
    expect(readFileSync(log, 'utf8')).toBe(`${words}\n${words}\n`);
    await new Promise((resolve) => chronyd.close(resolve));
  });
});

describe('the hook', () => {
  const BOUND = { new_ip_address: '192.0.2.5', new_ntp_servers: '192.0.2.1 192.0.2.2' };
  const BOUND6 = {
    new_dhcp6_ia_na1_ia_addr1: '2001:db8::100',
    new_dhcp6_sntp_servers: '2001:db8::31',
    branchbox_family: '6',
  };

  it('hands on what a lease names, and takes it back with the lease', () => {
    tell('BOUND', BOUND);
    expect(told()).toEqual(['server 192.0.2.1 minpoll 5', 'server 192.0.2.2 minpoll 5']);
    tell('RENEW', { ...BOUND, new_ntp_servers: '192.0.2.3' });
    expect(told()).toEqual(['server 192.0.2.3 minpoll 5']);
    tell('RENEW', { new_ip_address: '192.0.2.5' });
    expect(told()).toEqual([]);
  });

  it.each(['EXPIRE', 'RELEASE', 'NAK', 'FAIL', 'STOP', 'NOCARRIER', 'DEPARTED'])(
    'of IPv4 takes back its own on %s',
    (reason) => {
      tell('BOUND', BOUND);
      tell('BOUND6', BOUND6);
      tell(reason);
      expect([told(), told('wan1.ipv6')]).toEqual([[], ['server 2001:db8::31 minpoll 5']]);
    },
  );

  it.each(['EXPIRE6', 'RELEASE6', 'STOP6', 'NOCARRIER', 'DEPARTED', 'STOPPED'])(
    'of IPv6 takes back its own on %s',
    (reason) => {
      tell('BOUND', BOUND);
      tell('BOUND6', BOUND6);
      tell(reason, { branchbox_family: '6' });
      expect([told().length, told('wan1.ipv6')]).toEqual([2, []]);
    },
  );

  it('makes no path of a value, and no line', () => {
    tell('BOUND', { ...BOUND, new_ntp_servers: '/etc/* * 192.0.2.9\ninclude\t/tmp/x 192.0.2.1' });
    expect(told()).toEqual(['server 192.0.2.9 minpoll 5', 'server 192.0.2.1 minpoll 5']);
  });
});
