/** The fleet at a glance, held against what may be said of a box that is not heard or not counted any more. */
import { describe, expect, it } from 'vitest';
import { overviewOf } from '../../../src/controller/overview.ts';
import type { InventoryEntry } from '../../../src/controller/store/entities.ts';
import { SMALL_FLEET } from './fixtures.ts';
import { statusWith } from './statusFixture.ts';

const desired = {
  gatewayId: 'branch1',
  epoch: 1,
  generation: 3,
  digest: 'd',
  specDigest: 's',
  jws: 'a.b.c',
};
const status = {
  ...statusWith('branch1', { sequence: 1, seed: 2 }),
  committed: { epoch: 1, generation: 3, digest: 'd' },
};
const box = (state: InventoryEntry['state']): InventoryEntry => ({
  serial: 'SN-branch1',
  state,
  approved: true,
  twoFactor: false,
  quarantined: [],
  createdAtMs: 1,
});

function seen(state: InventoryEntry['state'], silentSinceMs?: number, move?: InventoryEntry['move']) {
  const all = overviewOf({
    fleet: SMALL_FLEET,
    desired: [desired],
    status: [{ gatewayId: 'branch1', receivedAtMs: 5_000, status }],
    inventory: [{ ...box(state), move }],
    silentSince: () => silentSinceMs,
  });
  return all.find(({ id }) => id === 'branch1');
}

describe('a gateway whose box is on its way', () => {
  it.each([
    ['expected', 'its box has not enrolled yet'],
    ['enrolled', 'its box enrolled and has sent no status yet'],
  ] as const)('is where its box said that it is, in the words of the box (%s)', (state, words) => {
    const message = 'ENROLLING: waits for the activation code, or an approval';
    const progress = { type: 'informational', message, atMs: 0 };
    const [gateway] = overviewOf({
      fleet: SMALL_FLEET,
      desired: [],
      status: [],
      inventory: [{ ...box(state), serial: SMALL_FLEET.gateways[0]?.serial ?? '', progress }],
      silentSince: () => undefined,
    });
    expect(gateway?.sentence).toBe(
      `${words}; it reported informational at 1970-01-01T00:00:00.000Z: ${message}`,
    );
  });
});

describe('a gateway that runs what it should', () => {
  it('is in sync and as well as it says', () => {
    expect(seen('enrolled')).toMatchObject({ sync: 'in-sync', health: { state: 'ok' } });
    expect(seen('enrolled')).not.toHaveProperty('silentSinceMs');
  });

  it('is silent, and nobody knows how it is, while it is not heard', () => {
    const silent = seen('enrolled', 7_000);
    expect(silent).toMatchObject({
      sync: 'silent',
      silentSinceMs: 7_000,
      sentence: 'silent since 1970-01-01T00:00:07.000Z; its last word: runs generation 3',
      statusReceivedAtMs: 5_000,
    });
    expect(silent).not.toHaveProperty('health');
  });

  it('is with another controller once it said so, and not where it is heard later', () => {
    const move = { to: 'next.example', becomes: 'there', generation: 7, orderedAtMs: 4_000 };
    // Ordered there, and not there yet as far as anybody knows.
    expect(seen('enrolled', 7_000, move)).toMatchObject({ sync: 'silent' });
    const moved = seen('enrolled', 7_000, { ...move, movedAtMs: 6_000 });
    expect(moved).toMatchObject({ sync: 'moved' });
    expect(moved?.sentence).toContain('is with next.example as there since 1970-01-01T00:00:06.000Z');
    expect(moved).not.toHaveProperty('health');
    expect(seen('enrolled', undefined, { ...move, movedAtMs: 6_000 })).toMatchObject({ sync: 'in-sync' });
    expect(seen('enrolled', 7_000, { ...move, movedAtMs: 4_999 })).toMatchObject({ sync: 'silent' });
    expect(seen('revoked', 7_000, { ...move, movedAtMs: 6_000 })).toMatchObject({ sync: 'revoked' });
  });

  it('is revoked, whatever it said before', () => {
    for (const silentSinceMs of [undefined, 7_000]) {
      const revoked = seen('revoked', silentSinceMs);
      expect(revoked).toMatchObject({
        sync: 'revoked',
        sentence: expect.stringMatching(/^its box is revoked, /),
      });
      expect(revoked).not.toHaveProperty('health');
    }
  });
});

describe('a gateway that runs what a controller put back from a copy does not know', () => {
  const gatewayOf = (told: Pick<typeof status, 'committed' | 'refused'>) =>
    overviewOf({
      fleet: { ...SMALL_FLEET, gateways: SMALL_FLEET.gateways.filter(({ id }) => id === 'branch1') },
      desired: [desired],
      status: [{ gatewayId: 'branch1', receivedAtMs: 5_000, status: { ...status, ...told } }],
      inventory: [box('enrolled')],
      silentSince: () => undefined,
    })[0];

  it.each([
    ['a later generation', { epoch: 1, generation: 4, digest: 'later' }],
    ['another state of the same generation', { epoch: 1, generation: 3, digest: 'other' }],
  ])('is ahead, though it refuses what is wanted as stale: %s', (_, committed) => {
    const refused = { epoch: 1, generation: 3, digest: 'd', reason: 'stale' as const, problems: [] };
    expect(gatewayOf({ committed, refused })).toMatchObject({
      sync: 'ahead',
      sentence: expect.stringContaining('--raise-epoch'),
    });
  });

  it('is refused where it runs what came before', () => {
    const committed = { epoch: 1, generation: 2, digest: 'before' };
    const refused = { epoch: 1, generation: 3, digest: 'd', reason: 'malformed' as const, problems: [] };
    expect(gatewayOf({ committed, refused })).toMatchObject({ sync: 'refused' });
  });
});
