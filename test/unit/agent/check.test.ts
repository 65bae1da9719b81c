/** `branchbox check` says what a feature is for: held against what boxes of every golden case need of their kernel. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { renderBox } from '../../../src/agent/items.ts';
import { checkBox } from '../../../src/agent/check.ts';
import { DesiredState } from '../../../src/model/desired.ts';
import { Facts, KERNEL_FEATURES } from '../../../src/model/facts.ts';
import { readTpmReadiness } from '../../../src/model/keyHolder.ts';
import { BootstrapNetwork } from '../../../src/model/medium.ts';
import { kernelGate } from '../../../src/net/itemIds.ts';

const ROOT = join(import.meta.dirname, '../../golden/box');

/** What items need of the kernel, where it has WireGuard and where it does not. */
function neededIn(name: string): readonly string[] {
  const at = (file: string): string => join(ROOT, name, file);
  const read = (file: string): unknown => JSON.parse(readFileSync(at(file), 'utf8'));
  const facts = Facts.parse(read('facts.json'));
  const desired = DesiredState.nullable().parse(read('desired.json'));
  const network = existsSync(at('network.json')) ? BootstrapNetwork.parse(read('network.json')) : undefined;
  return [true, false].flatMap((wireguard) => {
    const kernel = { ...facts.kernel, features: { ...facts.kernel.features, wireguard } };
    return renderBox(desired?.spec, { ...facts, kernel }, desired?.gatewayId, {
      quarantined: false,
      network,
    }).flatMap((item): readonly string[] => item.needs);
  });
}

it('says `nothing` of each feature that no item needs, and of no other', async () => {
  const needed = new Set(readdirSync(ROOT).flatMap(neededIn));
  const facts = Facts.parse(JSON.parse(readFileSync(join(ROOT, 'new-branch/facts.json'), 'utf8')));
  const { features } = await checkBox(facts, readTpmReadiness('no-chip').holding);
  const used = features.filter(({ use }) => !use.startsWith('nothing')).map(({ feature }) => feature);
  expect(used).toEqual(KERNEL_FEATURES.filter((feature) => needed.has(kernelGate(feature))));
});
