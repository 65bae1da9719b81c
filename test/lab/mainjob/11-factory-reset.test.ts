/** Back to what the factory left, in a real branch: by the controller's order, by the console's and button's way, and over a power cut. */
import { writeFileSync, rmSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { api, labInfo } from './fleet.ts';
import { branchbox, inNode, jsonIn, lab, tryIn, until } from './lab.ts';

const BOX = 'branch1';
const APP = 'http://10.10.0.100/';

interface BootstrapStatus {
  readonly state: string;
  readonly history: readonly { readonly state: string }[];
}
const keyOf = async () => (await inNode(BOX, 'cat', '/var/lib/branchbox/identity/ldevid.key')).trim();
const factoryOf = () => inNode(BOX, 'sh', '-c', 'cat /etc/branchbox/factory/* | sha256sum');

/** It asked its manufacturer's customer anew, and is the branch that it was. */
async function comesBack(before: string): Promise<void> {
  await until(
    `${BOX} bootstraps anew`,
    async () => {
      const status = await jsonIn<BootstrapStatus>(BOX, 'branchbox', 'bootstrap', 'status', '--json');
      return status.state === 'OPERATIONAL' && (await keyOf()) !== before;
    },
    120_000,
  );
  await until(
    'its app serves its tenant at the other branch',
    async () =>
      (await tryIn('branch2-red', ['curl', '-s', '--max-time', '3', APP])).stdout.includes('red-app'),
    120_000,
  );
  await until(
    'the whole lab is well',
    async () => (await branchbox(['lab', 'status', '--lab', LAB_NAME])).exitCode === 0,
  );
}
const LAB_NAME = process.env['BRANCHBOX_TEST_LAB'] ?? 'mainjob';

describe('a factory reset', () => {
  it('ordered by the controller takes identity, state and apps, and leaves the factory’s', async () => {
    const [before, factory] = [await keyOf(), await factoryOf()];
    await inNode(BOX, 'sh', '-c', 'echo kept >/var/lib/branchbox/agent/left-over');
    const { body } = await api('POST', `/api/v1/gateways/${BOX}/factory-reset`, { confirm: BOX });
    expect(body).toEqual({ message: 'resetting to factory state' });
    await comesBack(before);
    expect(await factoryOf()).toBe(factory);
    expect((await tryIn(BOX, ['test', '-e', '/var/lib/branchbox/agent/left-over'])).exitCode).toBe(1);
    const { history } = await jsonIn<BootstrapStatus>(BOX, 'branchbox', 'bootstrap', 'status', '--json');
    expect(history[0]?.state).toBe('FACTORY');
  });

  it('is the command line’s word too, but not without --yes', async () => {
    const info = await labInfo();
    const directory = mkdtempSync(join(tmpdir(), 'bbt-reset-'));
    const credential = join(directory, 'admin');
    writeFileSync(credential, info.adminCredential, { mode: 0o600 });
    const words = [
      'fleet',
      'reset',
      BOX,
      '--api',
      'https://127.0.0.1:1',
      '--ca',
      info.anchors.domain,
      '--credential',
      credential,
    ];
    expect((await branchbox(words)).stderr).toContain('--yes');
    const ended = await branchbox([...words, '--yes']);
    expect(ended.stderr).toContain('controller/unreachable');
    rmSync(directory, { recursive: true });
  });

  it('that a power cut interrupts is finished at the next start', async () => {
    const before = await keyOf();
    // As the first thing that a reset writes, and then the power goes.
    await inNode(BOX, 'sh', '-c', 'echo button >/var/lib/branchbox-factory-reset; sync -f /var/lib');
    await lab('restart', BOX);
    await comesBack(before);
    expect((await tryIn(BOX, ['test', '-e', '/var/lib/branchbox-factory-reset'])).exitCode).toBe(1);
  });

  it('asked for on the box itself does the same', async () => {
    const before = await keyOf();
    await inNode(BOX, 'systemctl', 'start', '--no-block', 'branchbox-factory-reset@button.service');
    await comesBack(before);
  });
});
