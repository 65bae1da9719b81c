/**
 * What a real WireGuard does with the time in a call: the ground on which tunnels wait for the clock (src/wan/usedTime.ts).
 * The calls are made by hand, since no clock may be set here; whoever answers one has accepted it.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BareNode, startBareNode } from './wan/bareNode.ts';
import { wireguardCall } from './wireguardCall.ts';
import { quietRootTree } from './quietRootTree.ts';

const YEAR = 365 * 86_400_000;
const base64 = (key: KeyObject, field: 'd' | 'x'): string =>
  Buffer.from(key.export({ format: 'jwk' })[field] ?? '', 'base64url').toString('base64');
const pair = () => {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  return { secret: base64(privateKey, 'd'), open: base64(publicKey, 'x') };
};
const hub = pair();
const [first, second] = [pair(), pair()];
let node: BareNode;

/** Whether the peer answers a call of this time: message 2 has 92 bytes (whitepaper 5.4.3). */
async function answers(privateKey: string, atMs: number): Promise<boolean> {
  const message = wireguardCall({ privateKey, peerPublicKey: hub.open, atMs });
  const reply = await node.runner.runChecked(
    'sh',
    ['-c', 'base64 -d | socat -t 2 - UDP4:127.0.0.1:51820 | head -c 92 | wc -c'],
    { stdin: message.toString('base64') },
  );
  return Number(reply) === 92;
}

beforeAll(async () => {
  node = await startBareNode('time', await quietRootTree());
  await node.run('ip', 'link', 'set', 'lo', 'up');
  node.loop('wireguard-go', 'wireguard-go -f wg0');
  const peers = [first, second].map(
    ({ open }, at) => `[Peer]\nPublicKey = ${open}\nAllowedIPs = 10.9.0.${at + 2}/32\n`,
  );
  await node.files.writeDurable(
    '/run/wg.conf',
    `[Interface]\nPrivateKey = ${hub.secret}\nListenPort = 51820\n${peers.join('')}`,
  );
  for (;;) if ((await node.runner.run('wg', ['setconf', 'wg0', '/run/wg.conf'])).exitCode === 0) break;
  await node.run('ip', 'link', 'set', 'wg0', 'up');
});
afterAll(() => node.stop());

it('refuses a key that calls with an older time than before, for good, and takes another key', async () => {
  const now = Date.now();
  expect(await answers(first.secret, now)).toBe(true);
  // An hour behind, as after a power cut without a battery.
  expect(await answers(first.secret, now - 3_600_000)).toBe(false);
  // Not later is refused as well.
  expect(await answers(first.secret, now)).toBe(false);
  expect(await answers(first.secret, now + 20 * YEAR)).toBe(true);
  expect(await answers(first.secret, now + YEAR)).toBe(false);
  expect(await answers(first.secret, now + 20 * YEAR + 1000)).toBe(true);
  expect(await answers(second.secret, now)).toBe(true);
});
