/** A box whose owner takes its trust from it, from the controller's word to the last bridge, and back again. */
import { afterAll, describe, expect, it } from 'vitest';
import { api, readFleet } from './fleet.ts';
import { inNode, jsonIn, pings, until } from './lab.ts';

const serialOf = async (id: string): Promise<string> =>
  (await readFleet()).fleet.gateways.find((gateway) => gateway.id === id)?.serial ?? 'none';

async function revoke(id: string, revoked: boolean): Promise<void> {
  const answer = await api('PATCH', `/api/v1/inventory/${await serialOf(id)}`, { revoked });
  expect(answer.status).toBe(200);
}

async function syncOf(id: string): Promise<string | undefined> {
  const { gateways } = (await api('GET', '/api/v1/status')).body as {
    gateways: { id: string; sync: string }[];
  };
  return gateways.find((gateway) => gateway.id === id)?.sync;
}

describe('a box that was stolen', () => {
  const STOLEN = 'branch2';
  /** Peers of the hub, by the kernel's or wireguard-go's own word. */
  const peers = async (): Promise<number> =>
    (await inNode('hub', 'wg', 'show', 'all', 'peers')).split('\n').filter((line) => line !== '').length;
  afterAll(() => revoke(STOLEN, false));

  it('loses its tunnels and what they carry, and others keep theirs', async () => {
    const before = await peers();
    expect(await pings('branch1-red', '10.10.0.12')).toBe(true);
    await revoke(STOLEN, true);
    await until('the hub has no peer of it', async () => (await peers()) < before);
    // Four paths of two branches each: half of them were its own.
    expect(await peers()).toBe(before / 2);
    expect(await pings('branch1-red', '10.10.0.12')).toBe(false);
    expect(await syncOf(STOLEN)).toBe('revoked');
    await revoke(STOLEN, false);
    await until('the hub has its peers again', async () => (await peers()) === before);
    await until('it counts again', async () => (await syncOf(STOLEN)) === 'in-sync');
    await until('red reaches red', () => pings('branch1-red', '10.10.0.12'));
  });
});

describe('quarantine', () => {
  const HELD = 'branch1';
  const APP = '10.10.0.100';
  const stateOf = async (): Promise<string> =>
    (await jsonIn<{ state: string }>(HELD, 'branchbox', 'bootstrap', 'status', '--json')).state;
  const conditions = async (): Promise<readonly { readonly code: string; readonly sentence: string }[]> =>
    (
      await jsonIn<{ health: { conditions: { code: string; sentence: string }[] } }>(
        HELD,
        'branchbox',
        'status',
        '--json',
      )
    ).health.conditions;
  const codes = async (): Promise<readonly string[]> => (await conditions()).map(({ code }) => code);
  afterAll(() => revoke(HELD, false));

  it('stops what never leaves the site too, keeps management, and a release brings all back', async () => {
    expect(await pings('branch1-red', APP)).toBe(true);
    expect(await codes()).not.toContain('quarantined');
    await revoke(HELD, true);
    // It asks its owner as soon as the broker ended its session.
    await until('the box knows', async () => (await stateOf()) === 'QUARANTINED');
    await until('its own host does not reach its own app', async () => !(await pings('branch1-red', APP, 1)));
    // Not by what is broken: links, app and read-outs are as they were.
    expect(await inNode(HELD, 'cat', '/sys/class/net/lan1/operstate')).toContain('up');
    expect(await codes()).toContain('quarantined');
    // What its peers bring down is told as that, and no provider or cable is blamed.
    const ofTunnels = await until('its tunnels are down', async () => {
      const found = (await conditions()).filter(({ code }) => code !== 'quarantined');
      return ['uplink-down', 'path-down', 'no-path'].every((code) => found.some((one) => one.code === code))
        ? found
        : undefined;
    });
    for (const { sentence } of ofTunnels) expect(sentence).toContain('in quarantine (quarantined)');

    await revoke(HELD, false);
    await until('the box is trusted again', async () => (await stateOf()) === 'OPERATIONAL');
    await until('its own host reaches its own app', () => pings('branch1-red', APP, 1));
    await until('red reaches red', () => pings('branch1-red', '10.10.0.12', 1));
    await until('it counts again', async () => (await syncOf(HELD)) === 'in-sync');
    expect(await codes()).not.toContain('quarantined');
  });
});
