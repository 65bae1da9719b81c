/** Where a tree's packages come from, by the machine's own sources. */
import { expect, it } from 'vitest';
import { mirrorLines } from '../../../image/trees.ts';

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
