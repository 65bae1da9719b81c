/** The memory of where peers were heard, held against restarts, the desired state and a damaged file. */
import { expect, test } from 'vitest';
import type { WireGuardSpec } from '../../../src/net/items.ts';
import { createRoaming } from '../../../src/net/roaming.ts';
import type { WireGuardState } from '../../../src/net/wireguardText.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

const base = { link: 'wg-hub', publicKey: 'own', listenPort: 51820, mark: 257 } as const;
const peer = (publicKey: string, endpoint?: { readonly address: string; readonly port: number }) => ({
  publicKey,
  allowedIps: [],
  keepaliveS: 25,
  ...(endpoint === undefined ? {} : { endpoint }),
});
const state = (...peers: WireGuardState['peers']): WireGuardState => ({ ...base, peers });
const spec = (...peers: WireGuardSpec['peers']): WireGuardSpec => ({ ...base, privateKeyFile: '/k', peers });
const place = { address: '203.0.113.1', port: 40001 };
const told = (wanted: WireGuardSpec) => new Map([[wanted.link, wanted]]);

function createDisk(text?: string) {
  const disk = { text, writes: 0 };
  const files = {
    readText: () => Promise.resolve(disk.text),
    writeDurable: (_: string, content: string | Uint8Array) => {
      disk.text = String(content);
      disk.writes += 1;
      return Promise.resolve();
    },
  };
  return { disk, files };
}

test('where a peer was last heard from outlives the box; an endpoint of the desired state goes first', async () => {
  const { disk, files } = createDisk();
  const wanted = spec(peer('branch1'), peer('branch2'), peer('hub2', { address: '198.51.100.1', port: 1 }));
  const heard = state(peer('branch1', place), peer('branch2'), peer('hub2', place));
  const before = createRoaming(files, log);
  await before.remember([heard], told(wanted));
  await before.remember([heard], told(wanted));
  expect(disk.writes).toBe(1);
  const after = createRoaming(files, log);
  expect((await after.recall(wanted)).peers).toEqual([
    peer('branch1', place),
    peer('branch2'),
    peer('hub2', { address: '198.51.100.1', port: 1 }),
  ]);
  // Not heard from since the restart, and an interface that has just been made: nothing is forgotten.
  await after.remember([state(peer('branch1'))], told(wanted));
  await after.remember([state()], told(wanted));
  expect(disk.writes).toBe(1);
  // No peer any more.
  await after.remember([state(peer('branch2'))], told(spec(peer('branch2'))));
  expect(disk.text).toBe('{}');
});

test.each(['{', '[]', '{"wg-hub":{"branch1":{"address":"nowhere","port":1}}}'])(
  'a file that says %s is as none',
  async (text) => {
    const { files } = createDisk(text);
    expect(await createRoaming(files, log).recall(spec(peer('branch1')))).toEqual(spec(peer('branch1')));
  },
);

test('a file that cannot be read is as none, and is written anew', async () => {
  const { disk, files } = createDisk();
  const readText = () => Promise.reject(new Error('EIO'));
  const roaming = createRoaming({ ...files, readText }, log);
  const wanted = spec(peer('branch1'));
  expect(await roaming.recall(wanted)).toEqual(wanted);
  await roaming.remember([state(peer('branch1', place))], told(wanted));
  expect(disk.text).toContain('203.0.113.1');
});

test('a full disk keeps nobody from looking at WireGuard; once there is room, what was heard meanwhile is kept', async () => {
  const { disk, files } = createDisk();
  let isFull = true;
  const writeDurable: typeof files.writeDurable = (...words) =>
    isFull ? Promise.reject(new Error('the disk is full')) : files.writeDurable(...words);
  const roaming = createRoaming({ ...files, writeDurable }, log);
  const wanted = spec(peer('branch1'));
  const heard = state(peer('branch1', place));
  await roaming.remember([heard], told(wanted));
  expect((await roaming.recall(wanted)).peers).toEqual([peer('branch1', place)]);
  isFull = false;
  await roaming.remember([heard], told(wanted));
  expect(disk.text).toContain('203.0.113.1');
});
