/** Where a tree's packages come from, by the machine's own sources. */
import { expect, it } from 'vitest';
import { mirrorLines, notMade } from '../../../image/trees.ts';
import { renderError } from '../../../src/model/errors.ts';

it('takes the machine’s own mirror, in both forms of sources', () => {
  const lines = [
    'deb http://m.example/debian trixie main',
    'deb http://m.example/debian trixie-updates main',
  ];
  expect(mirrorLines('deb [signed-by=/x] http://m.example/debian bookworm main\n', 'trixie')).toEqual(lines);
  expect(
    mirrorLines(
      'Types: deb\nURIs: http://m.example/debian/\nSuites: bookworm\n\nURIs: http://s.example/debian-security\n',
      'trixie',
    ),
  ).toEqual([...lines, 'deb http://s.example/debian-security trixie-security main']);
  expect(
    mirrorLines('deb http://m.example/debian bookworm main\n', 'trixie', ['main', 'non-free-firmware'])[1],
  ).toBe('deb http://m.example/debian trixie-updates main non-free-firmware');
  expect(
    mirrorLines(
      '# deb http://m.example/debian bookworm main\ndeb https://other.example/apt stable main',
      'trixie',
    ),
  ).toEqual([]);
});

it('a tree that no mirror gave is told with why of each, the machine’s own too', () => {
  const error = notMade([
    { from: 'this machine’s mirror', stderr: `${'downloading\n'.repeat(100)}E: No space left on device\n` },
    { from: 'Debian’s default mirror', stderr: 'E: Could not resolve deb.debian.org\n' },
    { from: 'a third', stderr: '' },
  ]);
  const text = renderError(error);
  expect(text).toMatch(/at this machine’s mirror: [^]*E: No space left on device\n {2}at Debian’s/);
  expect(text).toContain('at Debian’s default mirror: E: Could not resolve deb.debian.org\n');
  expect(text).toContain('at a third: it does not say why\n');
});
