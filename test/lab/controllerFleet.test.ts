/** Boxes that a new fleet would leave without a place, by the command line against the real controller. */
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startControllerClients } from './controllerClients.ts';
import type { ControllerWorld } from './controllerWorld.ts';

let world: ControllerWorld;
beforeAll(async () => {
  ({ world } = await startControllerClients());
});
afterAll(() => world.remove());

it('a fleet that leaves out boxes by the dozen is taken only where that is said', async () => {
  const short = world.at('short.toml');
  await writeFile(short, '[fleet]\nname = "test"\n');
  const before = await world.api('/api/v1/gateways');
  for (const words of [[], ['--removes', '3']]) {
    await expect(world.fleet('apply', short, ...words)).rejects.toThrow('4 boxes would lose the place');
  }
  expect(await world.api('/api/v1/gateways')).toEqual(before);
  await world.fleet('apply', short, '--removes', '4');
  expect(await world.api('/api/v1/gateways')).not.toEqual(before);
});
