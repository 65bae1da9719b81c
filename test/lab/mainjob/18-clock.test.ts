/**
 * A box that was in 2045: its hub has that time of its key and refuses every call since, by real WireGuard. What the box
 * knows of that over a power cut holds its tunnels back and is told; time servers that are believed bring another key, the
 * hub takes it, and traffic goes. No clock is set: the time is in a call made by hand, and chrony runs with -x.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { api } from './fleet.ts';
import { inNode, jsonIn, lab, pings, tryIn, until } from './lab.ts';
import { wireguardCall } from '../wireguardCall.ts';

const BOX = 'branch2';
const KEPT = '/var/lib/branchbox/agent/used-time.json';
const KEY = '/var/lib/branchbox/agent/wireguard.key';
const IN_2045 = Date.UTC(2045, 0, 1);
/** As kept after a handshake of then. */
const keptOf = (publicKey: string): string =>
  JSON.stringify({ schema: 1, publicKey, untilMs: IN_2045 + 900_000 });

interface Status {
  readonly facts: { readonly wireguardPublicKey: string };
  readonly health: { readonly conditions: readonly { readonly code: string; readonly sentence: string }[] };
}
interface Explanation {
  readonly state: string;
  readonly sentence: string;
}
const status = () => jsonIn<Status>(BOX, 'branchbox', 'status', '--json');
const clockBehind = async (): Promise<string | undefined> =>
  (await status()).health.conditions.find(({ code }) => code === 'clock-behind')?.sentence;
const wg = async (node: string, what: string): Promise<readonly string[][]> =>
  (await inNode(node, 'wg', 'show', 'all', what))
    .trim()
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [line.split('\t')]));
/** Interface and endpoint of each hub interface that the box calls. */
const called = async () =>
  (await wg(BOX, 'endpoints')).map(([ifname = '', peer = '', endpoint = '']) => ({ ifname, peer, endpoint }));
const write = async (path: string, text: string): Promise<void> => {
  const ended = await tryIn(BOX, ['sh', '-c', `cat >${path}.part && mv ${path}.part ${path}`], text);
  expect(ended.stderr).toBe('');
};
const handshakesOf = async (publicKey: string) =>
  (await wg('hub', 'latest-handshakes')).filter(([, peer, at]) => peer === publicKey && Number(at) > 0);

describe('a box whose clock is behind what its tunnels have used', () => {
  let key = '';
  afterAll(async () => {
    for (const node of [BOX, 'provider-a'])
      await tryIn(node, ['sh', '-c', 'kill $(cat /run/clock-test.pid)']);
  });

  it('keeps that time, a little ahead, once its tunnels stand', async () => {
    key = (await until('branch2 is there', status)).facts.wireguardPublicKey;
    await until('red reaches red', () => pings('branch1-red', '10.10.0.12', 1));
    const kept = await until(
      'a handshake is kept',
      async () => {
        const ended = await tryIn(BOX, ['cat', KEPT]);
        return ended.exitCode === 0 ? (JSON.parse(ended.stdout) as Record<string, unknown>) : undefined;
      },
      90_000,
    );
    expect(kept).toMatchObject({ schema: 1, publicKey: key, untilMs: expect.any(Number) });
    expect(await clockBehind()).toBeUndefined();
  });

  it('is refused by its hub: a call of 2045 makes every later one too early', async () => {
    const privateKey = (await inNode(BOX, 'cat', KEY)).trim();
    const ends = await called();
    await inNode(BOX, 'systemctl', 'stop', 'branchbox-agent.service');
    for (const { peer, endpoint } of ends) {
      const message = wireguardCall({ privateKey, peerPublicKey: peer, atMs: IN_2045 });
      const sent = await tryIn(
        BOX,
        ['sh', '-c', `base64 -d | socat -u - UDP4:${endpoint}`],
        message.toString('base64'),
      );
      expect(sent.stderr).toBe('');
    }
    // As a version that kept nothing would come up: its own calls, by the clock as it is.
    await inNode(BOX, 'rm', '-f', KEPT);
    await lab('restart', BOX);
    await until('branch2 calls', async () => (await called()).length === ends.length);
    await until('it sent some calls', async () =>
      (await wg(BOX, 'transfer')).every(([, , , sent]) => Number(sent) >= 3 * 148),
    );
    expect((await wg(BOX, 'latest-handshakes')).map(([, , at]) => at)).toEqual(ends.map(() => '0'));
    expect(await clockBehind()).toBeUndefined();
  });

  it('holds its tunnels back, and says so itself, for each of them, and at the controller', async () => {
    await inNode(BOX, 'systemctl', 'stop', 'branchbox-agent.service');
    await write(KEPT, keptOf(key));
    await lab('restart', BOX);
    const sentence = await until('branch2 says that its clock is behind', clockBehind);
    expect(sentence).toContain('2045-01-01T00:00:00.000Z');
    expect(sentence).toContain('Time servers set the clock');
    const links = await until('its interfaces are made', async () => {
      const found = await wg(BOX, 'public-key');
      return found.length === 4 && found;
    });
    const id = `wireguard:${links[0]?.[0] ?? ''}`;
    const item = await until('a tunnel waits', async () => {
      const told = await jsonIn<Explanation>(BOX, 'branchbox', 'explain', '--json', id);
      return told.state === 'blocked' && told;
    });
    expect(item.sentence).toContain('clock-behind');
    expect(await wg(BOX, 'peers')).toEqual([]);
    await until('the controller knows', async () => {
      const { body } = await api('GET', '/api/v1/status');
      return JSON.stringify(body).includes('clock-behind');
    });
  });

  it('goes on waiting over a restart of its agent', async () => {
    await inNode(BOX, 'systemctl', 'restart', 'branchbox-agent.service');
    await until('branch2 says it again', clockBehind);
    expect(await wg(BOX, 'peers')).toEqual([]);
  });

  it('takes another key once time servers are believed; the hub takes it, and traffic goes', async () => {
    const common = '-x -u root "pidfile /run/clock-test.pid"';
    await inNode('provider-a', 'sh', '-c', `chronyd ${common} "local stratum 8" "allow" "bindcmdaddress /"`);
    const server = '"server 198.51.100.1 iburst minpoll 2 maxpoll 2" "port 0"';
    const socket = '"cmdport 0" "bindcmdaddress /run/chrony/chronyd.sock"';
    await inNode(BOX, 'sh', '-c', `chronyd ${common} ${server} ${socket}`);
    const next = await until('branch2 has another key', async () => {
      const { wireguardPublicKey } = (await status()).facts;
      return wireguardPublicKey !== key && wireguardPublicKey;
    });
    await until('the hub has seen it', async () => (await handshakesOf(next)).length > 0, 120_000);
    await until('red reaches red', () => pings('branch1-red', '10.10.0.12', 1));
    expect((await wg('hub', 'peers')).filter(([, peer]) => peer === key)).toEqual([]);
    expect(await clockBehind()).toBeUndefined();
    expect(JSON.parse(await inNode(BOX, 'cat', KEPT))).toMatchObject({
      publicKey: next,
      renewedAtMs: expect.any(Number),
    });
  });
});
