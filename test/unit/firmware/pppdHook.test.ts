/** What pppd's scripts leave is read as a lease, and is gone when the session is. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createFiles } from '../../../src/system/linux/files.ts';
import { readLeases } from '../../../src/system/leases.ts';

const FIRMWARE = join(import.meta.dirname, '../../../firmware');
let directory: string;
const script = (name: string): string => join(directory, name);
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-pppd-'));
  for (const name of ['pppd-up', 'pppd-down']) {
    const text = readFileSync(join(FIRMWARE, name), 'utf8').replaceAll('/run/branchbox', directory);
    writeFileSync(script(name), text);
  }
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** pppd(8), scripts: an environment of its own making, without PATH. */
const tell = (name: string, ifname: string, env: Readonly<Record<string, string>> = {}): void =>
  void execFileSync(
    '/bin/sh',
    [
      '-c',
      'umask 077 && exec /bin/sh "$@"',
      'pppd',
      script(name),
      ifname,
      '/dev/ttyX',
      '0',
      '203.0.113.50',
      '203.0.113.1',
      '',
    ],
    {
      env: { USEPEERDNS: '1', IFNAME: ifname, ...env },
    },
  );
const known = () => readLeases(createFiles(), join(directory, 'leases'));

it('is an address alone on its link, the far end as the way out, and the DNS servers of the session', async () => {
  tell('pppd-up', 'ppp-wan1', { DNS1: '203.0.113.53', DNS2: '203.0.113.54' });
  const lease = {
    ifname: 'ppp-wan1',
    address: '203.0.113.50/32',
    gateway: '203.0.113.1',
    dns: ['203.0.113.53', '203.0.113.54'],
    bootstrapServers: [],
  };
  expect(await known()).toEqual([lease]);
  // pppd runs its scripts with a umask of 077.
  expect(statSync(join(directory, 'leases/ppp-wan1.env')).mode & 0o777).toBe(0o644);
  tell('pppd-up', 'ppp-wan1');
  expect(await known()).toEqual([{ ...lease, dns: [] }]);
});

it('goes with the session, also a second time', async () => {
  tell('pppd-up', 'ppp-wan1');
  tell('pppd-up', 'ppp-wan2');
  tell('pppd-down', 'ppp-wan1');
  tell('pppd-down', 'ppp-wan1');
  expect((await known()).map(({ ifname }) => ifname)).toEqual(['ppp-wan2']);
  expect(readdirSync(join(directory, 'leases'))).toEqual(['ppp-wan2.env']);
});

it('writes and removes nothing outside its directory', () => {
  writeFileSync(join(directory, 'x.env'), '');
  for (const name of ['pppd-up', 'pppd-down']) tell(name, '../x');
  expect(readdirSync(directory).toSorted()).toEqual(['pppd-down', 'pppd-up', 'x.env']);
});
