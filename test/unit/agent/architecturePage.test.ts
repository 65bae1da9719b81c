/** The table of docs/architecture.md names each file of src/agent, once, and no other. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const ROOT = new URL('../../../', import.meta.url);

it('names the files that there are', () => {
  const page = readFileSync(new URL('docs/architecture.md', ROOT), 'utf8');
  const [, section = ''] = /^## The agent\n(.*?)^(?:\*\*|## )/ms.exec(page) ?? [];
  const named = [...section.matchAll(/`(\w+\.ts)`/g)].map(([, name = '']) => name);
  expect(named.toSorted()).toEqual(readdirSync(new URL('src/agent', ROOT)).toSorted());
});
