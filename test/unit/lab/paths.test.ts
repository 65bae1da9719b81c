/** Names of labs and of what is named after them. */
import { expect, it } from 'vitest';
import { labPaths, netnsNameOf } from '../../../src/lab/paths.ts';

it('refuses a lab name that could reach out of its directory', () => {
  for (const name of ['', '../x', 'A', 'a.b', 'x'.repeat(17)])
    expect(() => labPaths(name)).toThrow('lab name');
});

it('keeps one lab’s namespaces apart from those of a lab whose name begins alike', () => {
  expect(netnsNameOf('a-b', 'c').startsWith('bb-a.')).toBe(false);
});
