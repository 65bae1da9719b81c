/** A box that was stolen: revoked at the controller, it is nobody's peer any more, and is one again when taken back. */
import { afterAll, describe, expect, it } from 'vitest';
import { api, readFleet } from './fleet.ts';
import { inNode, pings, until } from './lab.ts';

const STOLEN = 'branch2';

describe('a box that was revoked', () => {
  const serial = async (): Promise<string> =>
    (await readFleet()).fleet.gateways.find(({ id }) => id === STOLEN)?.serial ?? 'none';
  const say = async (revoked: boolean): Promise<void> => {
    const answer = await api('PATCH', `/api/v1/inventory/${await serial()}`, { revoked });
    expect(answer.status).toBe(200);
  };
  /** Peers of the hub, by the kernel's or wireguard-go's own word. */
  const peers = async (): Promise<number> =>
    (await inNode('hub', 'wg', 'show', 'all', 'peers')).split('\n').filter((line) => line !== '').length;
  const seen = async (): Promise<string | undefined> => {
    const { gateways } = (await api('GET', '/api/v1/status')).body as {
      gateways: { id: string; sync: string }[];
    };
    return gateways.find(({ id }) => id === STOLEN)?.sync;
  };
  afterAll(() => say(false));

  it('loses its tunnels and what they carry, and others keep theirs', async () => {
    const before = await peers();
    expect(await pings('branch1-red', '10.10.0.12')).toBe(true);
    await say(true);
    await until('the hub has no peer of it', async () => (await peers()) < before);
    // Four paths of two branches each: half of them were its own.
    expect(await peers()).toBe(before / 2);
    expect(await pings('branch1-red', '10.10.0.12')).toBe(false);
    expect(await seen()).toBe('revoked');
    await say(false);
    await until('the hub has its peers again', async () => (await peers()) === before);
    await until('it counts again', async () => (await seen()) === 'in-sync');
    await until('red reaches red', () => pings('branch1-red', '10.10.0.12'));
  });
});
