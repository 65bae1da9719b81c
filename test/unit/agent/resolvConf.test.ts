/** Programs that are not ours ask the uplinks' own DNS servers, and the image's resolv.conf leads to what says so. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { AGENT_PATHS, resolvConfPath } from '../../../src/agent/paths.ts';
import { holdResolvConf, renderResolvConf } from '../../../src/agent/resolvConf.ts';
import { createFiles } from '../../../src/system/linux/files.ts';

const lease = (ifname: string, ...dns: string[]) => ({
  ifname,
  address: '192.0.2.5/24',
  dns,
  bootstrapServers: [],
});

it('names the first of each uplink before the second of any, and no more than are read', () => {
  const leases = [lease('wan1', '192.0.2.1', '192.0.2.2'), lease('wan2', '198.51.100.1', '192.0.2.1')];
  const leases6 = [{ ...lease('wan1', '2001:db8::53'), address: '2001:db8::5/64' }];
  expect(renderResolvConf({ leases, leases6 })).toBe(
    'nameserver 192.0.2.1\nnameserver 198.51.100.1\nnameserver 2001:db8::53\n',
  );
  expect(renderResolvConf({ leases: [], leases6: [] })).toBe('');
});

it('everybody may read it, and it stays while no uplink names anybody', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bbt-resolv-'));
  try {
    const path = join(directory, 'resolv.conf');
    for (const text of ['nameserver 192.0.2.1\n', '']) await holdResolvConf(createFiles(), path, text);
    expect(await readFile(path, 'utf8')).toBe('nameserver 192.0.2.1\n');
    expect((await stat(path)).mode & 0o777).toBe(0o644);
  } finally {
    await rm(directory, { recursive: true });
  }
});

it('is what the image’s own leads to', async () => {
  const recipe = await readFile(join(import.meta.dirname, '../../../image/lay-over.sh'), 'utf8');
  expect(recipe).toContain(`ln -sfn ..${resolvConfPath(AGENT_PATHS)} "$root/etc/resolv.conf"`);
});
