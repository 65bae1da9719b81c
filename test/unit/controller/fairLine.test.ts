/** A line in which networks and their addresses take turns, and from which who has the most in it is sent away first. */
import { expect, it } from 'vitest';
import { createFairLine, networksOf } from '../../../src/controller/fairLine.ts';

const all = (line: ReturnType<typeof createFairLine<string>>): string[] => {
  const out: string[] = [];
  for (let one = line.shift(); one !== undefined; one = line.shift()) out.push(one);
  return out;
};

it('of one peer first come, first served; peers one after the other', () => {
  const line = createFairLine<string>(10);
  for (const comer of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) line.push([comer.charAt(0)], comer);
  expect(all(line)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  expect(line.shift()).toBeUndefined();
});

it('who just had a turn waits behind who comes', () => {
  const line = createFairLine<string>(10);
  for (const comer of ['a1', 'a2', 'a3']) line.push(['a'], comer);
  expect(line.shift()).toBe('a1');
  line.push(['b'], 'b1');
  expect(all(line)).toEqual(['a2', 'b1', 'a3']);
});

it('full, the last of the peer with the most goes; the comer where that is he', () => {
  const line = createFairLine<string>(3);
  for (const comer of ['a1', 'a2', 'a3']) expect(line.push(['a'], comer)).toBeUndefined();
  expect(line.push(['a'], 'a4')).toBe('a4');
  expect(line.push(['b'], 'b1')).toBe('a3');
  // Two and one: another of b would only turn it round.
  expect(line.push(['b'], 'b2')).toBe('b2');
  expect(line.push(['c'], 'c1')).toBe('a2');
  expect(line.push(['d'], 'd1')).toBe('d1');
  expect(all(line)).toEqual(['a1', 'b1', 'c1']);
  expect(line.push(['d'], 'd2')).toBeUndefined();
});

const two = (line: ReturnType<typeof createFairLine<string>>, comer: string) =>
  line.push([comer.charAt(0), comer.slice(0, 2)], comer);

it('networks take turns, and in each its addresses', () => {
  const line = createFairLine<string>(20);
  // Network a: three addresses, of which one came twice. Network b: one. Network c: two.
  for (const comer of ['a1-', 'a1+', 'a2-', 'a3-', 'b1-', 'b1+', 'c1-', 'c2-']) two(line, comer);
  expect(all(line)).toEqual(['a1-', 'b1-', 'c1-', 'a2-', 'b1+', 'c2-', 'a3-', 'a1+']);
});

it('who comes from 254 addresses of one network has no more turns than who has one', () => {
  const line = createFairLine<string>(1_024);
  for (let i = 0; i < 1_016; i += 1) line.push(['198.51.100', `198.51.100.${i % 254}`], 'many');
  for (let i = 0; i < 8; i += 1) line.push(['203.0.113', '203.0.113.7'], 'one');
  // Full: who comes with less gets a place of who has most.
  expect(line.push(['192.0.2', '192.0.2.7'], 'another')).toBe('many');
  expect(line.push(['198.51.100', '198.51.100.255'], 'more')).toBe('many');
  const first = all(line).slice(0, 18);
  expect(first.filter((one) => one === 'one')).toHaveLength(8);
  expect(first.indexOf('another')).toBeLessThan(3);
});

it('full, who goes is of the network with the most, and there of the address with the most', () => {
  const line = createFairLine<string>(6);
  for (const comer of ['a1-', 'a2-', 'a2+', 'a3-', 'b1-', 'b1+']) two(line, comer);
  expect(two(line, 'c1-')).toBe('a2+');
  // Three of a: one of its addresses more takes no place but of that network's own, where each has one already.
  expect(two(line, 'a4-')).toBe('a4-');
  // Two of b, both of one address: another address of b takes one of them.
  expect(two(line, 'b2-')).toBe('b1+');
  expect(two(line, 'd1-')).toBe('a1-');
  expect(all(line)).toHaveLength(6);
  expect(all(line)).toEqual([]);
  expect(two(line, 'e1-')).toBeUndefined();
  expect(all(line)).toEqual(['e1-']);
});

it.each([
  ['192.0.2.7', '192.0.2', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1', '2001:db8:1:2'],
  ['2001:0db8:1::6', '2001:db8:1', '2001:db8:1:0'],
  ['2001:db8::', '2001:db8:0', '2001:db8:0:0'],
  ['fe80::1%eth0', 'fe80:0:0', 'fe80:0:0:0'],
  ['::1', '0:0:0', '0:0:0:0'],
  ['', '', ''],
])('%s is of the networks %s and %s', (address, ...networks) => {
  expect(networksOf(address)).toEqual(networks);
});
