/**
 * Owns the golden cases of a whole box: a folder each with desired.json (what the controller signs; null where there is
 * none yet), facts.json and observed.json (what is on the box), and what they must give: plan.txt, frr.conf and
 * ruleset.nft. A folder with before.txt names the case whose desired state the box held so far; its observed.json
 * follows from that. One with quarantine.json is of a box whose owner does not trust it, one with network.json of a box
 * that came by a bootstrap medium.
 * After a wanted change: `GOLDEN_WRITE=1 vitest run test/golden/box.test.ts`, then read the difference.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DesiredState } from '../../src/model/desired.ts';
import { Facts } from '../../src/model/facts.ts';
import { BootstrapNetwork } from '../../src/model/medium.ts';
import type { AnyItem } from '../../src/reconcile/item.ts';
import { compare } from '../../src/reconcile/plan.ts';
import { frrText, holding, itemsOf, nftText, ObservedItems, planText } from './boxCase.ts';
import { hold } from './hold.ts';

const ROOT = join(import.meta.dirname, 'box');

function readCase(name: string) {
  const read = (file: string): unknown => JSON.parse(readFileSync(join(ROOT, name, file), 'utf8'));
  const facts = Facts.parse(read('facts.json'));
  const quarantined = existsSync(join(ROOT, name, 'quarantine.json'));
  const desired = DesiredState.nullable().parse(read('desired.json'));
  const network = existsSync(join(ROOT, name, 'network.json'))
    ? BootstrapNetwork.parse(read('network.json'))
    : undefined;
  return { facts, items: itemsOf(desired, facts, { quarantined, network }) };
}

/** An item a line, so that a difference is read as one. */
const asJson = (items: readonly AnyItem[]): string =>
  `[${items.map((item) => `\n${JSON.stringify(item)}`).join(',')}\n]\n`;

describe('golden box', () => {
  it.each(readdirSync(ROOT))('%s', (name) => {
    const at = (file: string): string => join(ROOT, name, file);
    const { facts, items } = readCase(name);
    if (existsSync(at('before.txt'))) {
      const before = readCase(readFileSync(at('before.txt'), 'utf8').trim());
      hold(at('observed.json'), asJson(holding(before.items)));
    }
    const observed = ObservedItems.parse(JSON.parse(readFileSync(at('observed.json'), 'utf8')));
    const ids = observed.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort(compare));
    hold(at('plan.txt'), planText(items, observed, facts));
    hold(at('frr.conf'), frrText(items));
    hold(at('ruleset.nft'), nftText(items));
    // What the plan leads to needs no other plan.
    expect(
      planText(items, holding(items), facts)
        .split('\n')
        .filter((line) => /^[-+~]/.test(line)),
    ).toEqual([]);
  });
});
