/**
 * Owns the golden cases of wan and evpn: a folder each with desired.json and facts.json, and what they must give:
 * expected.txt (every item as a line, what it waits for below it) and frr.conf.
 * After a wanted change: `GOLDEN_WRITE=1 vitest run test/golden/render.test.ts`, then read the difference.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { renderEvpn } from '../../src/evpn/render.ts';
import { DesiredSpec } from '../../src/model/desired.ts';
import { Facts } from '../../src/model/facts.ts';
import { renderFrrConfig } from '../../src/net/frrConfig.ts';
import type { FrrLineItem, NetItem } from '../../src/net/items.ts';
import { renderFactory } from '../../src/wan/factory.ts';
import { renderWan } from '../../src/wan/render.ts';
import { hold } from './hold.ts';

const AREAS: Record<string, (spec: DesiredSpec, facts: Facts) => NetItem[]> = {
  wan: renderWan,
  evpn: renderEvpn,
};

function asText(items: readonly NetItem[]): string {
  return items
    .filter((item) => item.kind !== 'frr')
    .map((item) => {
      const needs = item.needs.map((need) => `\n    needs ${need}`).join('');
      return `${item.id}\n    ${JSON.stringify(item.spec)}${needs}\n`;
    })
    .sort()
    .join('');
}

for (const [area, render] of Object.entries(AREAS)) {
  const root = join(import.meta.dirname, area);
  const cases = readdirSync(root);
  describe(`golden ${area}`, () => {
    it.each(cases)('%s', (name) => {
      const read = (file: string): unknown => JSON.parse(readFileSync(join(root, name, file), 'utf8'));
      const facts = Facts.parse(read('facts.json'));
      const isFactory = !existsSync(join(root, name, 'desired.json'));
      const items = isFactory ? renderFactory(facts) : render(DesiredSpec.parse(read('desired.json')), facts);
      hold(join(root, name, 'expected.txt'), asText(items));
      const lines = items.filter((item): item is FrrLineItem => item.kind === 'frr');
      hold(join(root, name, 'frr.conf'), renderFrrConfig(lines).text);
    });
  });
}
