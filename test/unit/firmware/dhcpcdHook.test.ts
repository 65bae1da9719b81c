/** What the hook of the address clients leaves: of each family its own, also where both share a port. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readLeases6 } from '../../../src/system/leases6.ts';
import { readLeases } from '../../../src/system/leases.ts';
import { createFiles } from '../../../src/system/linux/files.ts';

const HOOK = join(import.meta.dirname, '../../../firmware/dhcpcd-hook');
const files = createFiles();
let directory: string;
let script: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-hook-'));
  script = join(directory, 'hook');
  writeFileSync(script, readFileSync(HOOK, 'utf8').replaceAll('/run/branchbox', directory));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** As dhcpcd calls it: all by environment. */
const tell = (reason: string, values: Readonly<Record<string, string>> = {}): void =>
  void execFileSync('/bin/sh', [script], {
    env: { PATH: process.env['PATH'], interface: 'wan1', reason, ...values },
  });
const four = (reason: string, values = {}): void => tell(reason, values);
const six = (reason: string, values = {}): void => tell(reason, { branchbox_family: '6', ...values });
const known = async () => {
  const at = join(directory, 'leases');
  const [leases, leases6] = [await readLeases(files, at), await readLeases6(files, at)];
  return [...leases, ...leases6].map(({ address, gateway }) => `${address} via ${gateway ?? 'nobody'}`);
};

const BOUND = { new_ip_address: '192.0.2.5', new_subnet_cidr: '24', new_routers: '192.0.2.1' };
const ADVERTISED = {
  nd1_from: 'fe80::1',
  nd1_lifetime: '1800',
  nd1_addr1: '2001:db8::5/64',
  nd1_prefix_information1_prefix: '2001:db8::',
  nd1_prefix_information1_length: '64',
  nd1_prefix_information1_flags: 'LA',
};
const FOUR = '192.0.2.5/24 via 192.0.2.1';
const SIX = '2001:db8::5/64 via fe80::1';

it('is what both clients learnt, each by itself', async () => {
  four('BOUND', BOUND);
  six('ROUTERADVERT', ADVERTISED);
  expect(await known()).toEqual([FOUR, SIX]);
  six('BOUND6', { new_dhcp6_ia_na1_ia_addr1: '2001:db8::100' });
  expect(await known()).toEqual([FOUR, '2001:db8::100/64 via fe80::1']);
  six('EXPIRE6');
  expect(await known()).toEqual([FOUR, SIX]);
});

it.each(['NOCARRIER', 'DEPARTED', 'STOPPED'])(
  'of one client that says %s goes its own alone',
  async (reason) => {
    four('BOUND', BOUND);
    six('ROUTERADVERT', ADVERTISED);
    six(reason);
    expect(await known()).toEqual([FOUR]);
    six('ROUTERADVERT', ADVERTISED);
    four(reason);
    // A stopped client of IPv4 leaves the address where it is.
    expect(await known()).toEqual(reason === 'STOPPED' ? [FOUR, SIX] : [SIX]);
  },
);

it('a router that is none any more is no way out', async () => {
  six('ROUTERADVERT', { ...ADVERTISED, nd1_lifetime: '0' });
  expect(await known()).toEqual(['2001:db8::5/64 via nobody']);
});

it('writes no value as more than one line, and no name that is none of its own', async () => {
  four('BOUND', { ...BOUND, new_domain_name: 'x\nnew_ip_address=10.0.0.1', LD_PRELOAD_LIKE: 'x' });
  const text = readFileSync(join(directory, 'leases/wan1.env'), 'utf8');
  expect(text.split('\n').filter((line) => line.startsWith('new_ip_address='))).toHaveLength(1);
  expect(text).not.toContain('LD_PRELOAD_LIKE');
  expect(await known()).toEqual([FOUR]);
});
