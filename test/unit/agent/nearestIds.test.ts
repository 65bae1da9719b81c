/** What may have been meant by an id that nobody knows. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { nearestIds } from '../../../src/agent/nearestIds.ts';

const KNOWN = [
  'address:lo/10.255.0.11/32',
  'app:red-app',
  'external:lease/wan1',
  'external:port/lan3',
  'fdb:vx-10010/00:00:5e:00:01:0a',
  'link:br-10010',
  'link:br-10020',
  'link:vx-10010',
  'nft-chain:inet/input',
  'sysctl:net.ipv4.ip_forward',
];

it.each([
  ['a slip', 'link:br-1001', ['link:br-10010', 'link:br-10020']],
  ['another case', 'Link:BR-10020', ['link:br-10020', 'link:br-10010']],
  ['its beginning', 'external:le', ['external:lease/wan1']],
  ['no kind', 'br-10010', ['link:br-10010']],
  ['the kind of another', 'bridge:br-10010', ['link:br-10010']],
  ['a part of the name alone', 'wan1', ['external:lease/wan1']],
  ['a part, of the kind that was guessed', 'port:lan3', ['external:port/lan3']],
  ['a setting by its last words', 'ip_forward', ['sysctl:net.ipv4.ip_forward']],
])('%s finds it first', (_, asked, first) => {
  expect(nearestIds(asked, KNOWN).slice(0, first.length)).toEqual(first);
});

it.each([['link:zz-77777'], [''], ['link'], [':'], ['🂡'], ['x'.repeat(10_000)]])(
  'nothing is alike to %s',
  (asked) => {
    expect(nearestIds(asked, KNOWN)).toEqual([]);
  },
);

it('names few of many, those that are as near in their order', () => {
  const many = Array.from({ length: 1_000 }, (_, i) => `link:br-${20_000 - i}`);
  expect(nearestIds('link:br-1999', many)).toEqual([
    'link:br-19990',
    'link:br-19991',
    'link:br-19992',
    'link:br-19993',
    'link:br-19994',
  ]);
});

/** The whole table, as in every textbook. */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const line = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const other = a[row - 1] === b[column - 1] ? 0 : 1;
      line.push(
        Math.min((above[column - 1] ?? 0) + other, (above[column] ?? 0) + 1, (line[column - 1] ?? 0) + 1),
      );
    }
    above = line;
  }
  return above[b.length] ?? 0;
}

it('finds an id by up to three slips, and by no more', () => {
  // One part each, so that slips alone decide.
  const word = fc.string({ minLength: 12, maxLength: 15, unit: fc.constantFrom('a', 'b', 'c') });
  const slip = fc.record({ at: fc.nat(11), cut: fc.nat(1), put: fc.constantFrom('', 'a', 'x') });
  fc.assert(
    fc.property(word, fc.array(slip, { minLength: 1, maxLength: 5 }), (asked, slips) => {
      const id = slips.reduce(
        (text, { at, cut, put }) => text.slice(0, at) + put + text.slice(at + cut),
        asked,
      );
      fc.pre(!id.startsWith(asked));
      expect(nearestIds(asked, [id]).length).toBe(distance(asked, id) <= 3 ? 1 : 0);
    }),
  );
});
