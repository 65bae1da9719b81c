import { expect, it } from 'vitest';
import { asciiOf, oneLineOf } from '../../../src/model/foreignText.ts';

it.each([
  ['  busy\r\n', 20, 'busy'],
  ['a\u001b[2Jb\u202ec', 20, 'a?[2Jb?c'],
  ['x'.repeat(100), 8, 'x'.repeat(8)],
  ['', 8, ''],
])('%j is shown in ASCII within %i as %j', (text, maxLength, shown) => {
  expect(asciiOf(text, maxLength)).toBe(shown);
});

it.each([
  [' der Code\r\nist\u2028alt ', 40, 'der Code ist alt'],
  ['tv\u00e5 f\u00f6rs\u00f6k\u200b\u202e kvar', 40, 'tv\u00e5 f\u00f6rs\u00f6k kvar'],
  ['x'.repeat(100), 8, 'x'.repeat(8)],
])('%j is shown on one line within %i as %j', (text, maxLength, shown) => {
  expect(oneLineOf(text, maxLength)).toBe(shown);
});
