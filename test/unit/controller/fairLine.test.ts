/** A line in which peers take turns, and from which who has the most in it is sent away first. */
import { expect, it } from 'vitest';
import { createFairLine, peerOfAddress } from '../../../src/controller/fairLine.ts';

const all = (line: ReturnType<typeof createFairLine<string>>): string[] => {
  const out: string[] = [];
  for (let one = line.shift(); one !== undefined; one = line.shift()) out.push(one);
  return out;
};

it('of one peer first come, first served; peers one after the other', () => {
  const line = createFairLine<string>(10);
  for (const comer of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) line.push(comer.charAt(0), comer);
  expect(all(line)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  expect(line.shift()).toBeUndefined();
});

it('who just had a turn waits behind who comes', () => {
  const line = createFairLine<string>(10);
  for (const comer of ['a1', 'a2', 'a3']) line.push('a', comer);
  expect(line.shift()).toBe('a1');
  line.push('b', 'b1');
  expect(all(line)).toEqual(['a2', 'b1', 'a3']);
});

it('full, the last of the peer with the most goes; the comer where that is he', () => {
  const line = createFairLine<string>(3);
  for (const comer of ['a1', 'a2', 'a3']) expect(line.push('a', comer)).toBeUndefined();
  expect(line.push('a', 'a4')).toBe('a4');
  expect(line.push('b', 'b1')).toBe('a3');
  // Two and one: another of b would only turn it round.
  expect(line.push('b', 'b2')).toBe('b2');
  expect(line.push('c', 'c1')).toBe('a2');
  expect(line.push('d', 'd1')).toBe('d1');
  expect(all(line)).toEqual(['a1', 'b1', 'c1']);
  expect(line.push('d', 'd2')).toBeUndefined();
});

it.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:0db8:1::6', '2001:db8:1:0'],
  ['2001:db8::', '2001:db8:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['::1', '0:0:0:0'],
  ['', ''],
])('%s is of the peer %s', (address, peer) => {
  expect(peerOfAddress(address)).toBe(peer);
});
