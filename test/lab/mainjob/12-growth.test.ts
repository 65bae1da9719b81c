/** A fleet that grows while it runs: its hub takes each newcomer, and what is changed after them. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { editFleet, fleetGateway, type FleetDocument, readFleet } from './fleet.ts';
import { jsonIn, lab, until } from './lab.ts';

interface Status {
  readonly committed?: { readonly generation: number };
  readonly trial?: unknown;
  readonly health: { readonly state: string; readonly conditions: readonly { readonly sentence: string }[] };
}
const statusOf = (gateway: string) => jsonIn<Status>(gateway, 'branchbox', 'status', '--json');
const stepsOf = async (gateway: string): Promise<readonly unknown[]> =>
  (await jsonIn<{ readonly steps: readonly unknown[] }>(gateway, 'branchbox', 'plan', '--json')).steps;

/** The gateway committed something newer, is well, and has nothing left to do on a look at everything. */
async function takesMoreThan(gateway: string, generation: number): Promise<number> {
  const committed = await until(`${gateway} commits what is newer than ${generation}`, async () => {
    const { committed, trial } = await statusOf(gateway);
    return trial === undefined && (committed?.generation ?? 0) > generation ? committed?.generation : false;
  });
  expect(await stepsOf(gateway)).toEqual([]);
  await until(`${gateway} is ok`, async () => {
    const { health } = await statusOf(gateway);
    if (health.state === 'ok') return true;
    throw new Error(health.conditions.map(({ sentence }) => sentence).join(' '));
  });
  return committed ?? 0;
}

describe('a fleet that grows', () => {
  const out = mkdtempSync(join(tmpdir(), 'branchbox-identity-'));
  let before: FleetDocument | undefined;
  afterAll(async () => {
    rmSync(out, { recursive: true, force: true });
    const original = before;
    if (original !== undefined) await editFleet((fleet) => Object.assign(fleet, original));
  });

  it('takes newcomers by `lab identity`, and a change that comes after them', async () => {
    before = (await readFleet()).fleet;
    let generation = (await statusOf('hub')).committed?.generation ?? 0;
    for (const name of ['newcomer1', 'newcomer2']) {
      await lab('identity', name, '--out', join(out, name));
      expect(readdirSync(join(out, name)).toSorted()).toEqual(
        expect.arrayContaining(['chain.pem', 'idevid.crt', 'idevid.key', 'serial', 'voucher-anchor.pem']),
      );
      generation = await takesMoreThan('hub', generation);
    }
    const branchGeneration = (await statusOf('branch1')).committed?.generation ?? 0;
    await editFleet((fleet) => {
      fleet.segments.push({ id: 'green', tenant: 'red', vni: 10_030 });
      fleetGateway(fleet, 'branch1').ports.push({ port: 'lan3', segment: 'green' });
    });
    await takesMoreThan('hub', generation);
    await takesMoreThan('branch1', branchGeneration);
  });
});
