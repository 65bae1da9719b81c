/** A box that is off, or that no packet leaves: its controller says so, and that it is there again when it is. */
import { afterAll, describe, expect, it } from 'vitest';
import { api } from './fleet.ts';
import { lab, pings, until } from './lab.ts';

interface Overview {
  readonly gateways: readonly {
    readonly id: string;
    readonly sync: string;
    readonly health?: { readonly state: string };
    readonly silentSinceMs?: number;
  }[];
}
const seen = async (id: string) =>
  ((await api('GET', '/api/v1/status')).body as Overview).gateways.find((gateway) => gateway.id === id);

describe('a box without a way out', () => {
  afterAll(async () => {
    for (const uplink of ['internet', 'lte']) await lab('heal', 'branch2', uplink);
    await until('red reaches red', () => pings('branch1-red', '10.10.0.12', 1));
  });

  it('is silent at its controller, others are not, and is in sync when it is heard again', async () => {
    await until('branch2 is in sync', async () => (await seen('branch2'))?.sync === 'in-sync');
    for (const uplink of ['internet', 'lte']) await lab('cut', 'branch2', uplink);
    const silent = await until('the controller says that it is silent', async () => {
      const now = await seen('branch2');
      return now?.sync === 'silent' ? now : undefined;
    });
    expect(silent.silentSinceMs).toBeGreaterThan(0);
    expect(silent).not.toHaveProperty('health');
    expect(await seen('branch1')).toMatchObject({ sync: 'in-sync', health: expect.anything() });
    for (const uplink of ['internet', 'lte']) await lab('heal', 'branch2', uplink);
    await until('branch2 is in sync again', async () => (await seen('branch2'))?.sync === 'in-sync');
  });
});
