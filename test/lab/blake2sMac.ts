/** Owns BLAKE2s with a key and 16 bytes of result (RFC 7693), which Node has only without. For WireGuard's mac1. */
const IV: readonly number[] = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
/** RFC 7693 2.7, a hexadecimal digit a word. */
const SIGMA: readonly (readonly number[])[] = [
  '0123456789abcdef',
  'ea489fd61c02b753',
  'b8c052fdae367194',
  '7931dcbe265a40f8',
  '905724afe1bc683d',
  '2c6a0b834d75fe19',
  'c51fed4a0763928b',
  'db7ec13950f4862a',
  '6fe9b308c2d714a5',
  'a2847615fb9e3cd0',
].map((row) => Array.from(row, (digit) => Number.parseInt(digit, 16)));
/** What a round mixes: columns, then diagonals. */
const QUARTERS: readonly (readonly [number, number, number, number])[] = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];
const BLOCK = 64;
const LENGTH = 16;

const turn = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

function compress(state: Uint32Array, block: Buffer, count: number, isLast: boolean): void {
  const v = Uint32Array.from([...state, ...IV]);
  const at = (index: number): number => v[index] ?? 0;
  const word = (index: number): number => block.readUInt32LE(index * 4);
  v[12] = at(12) ^ count;
  if (isLast) v[14] = ~at(14);
  for (const order of SIGMA) {
    QUARTERS.forEach(([a, b, c, d], index) => {
      v[a] = at(a) + at(b) + word(order[index * 2] ?? 0);
      v[d] = turn(at(d) ^ at(a), 16);
      v[c] = at(c) + at(d);
      v[b] = turn(at(b) ^ at(c), 12);
      v[a] = at(a) + at(b) + word(order[index * 2 + 1] ?? 0);
      v[d] = turn(at(d) ^ at(a), 8);
      v[c] = at(c) + at(d);
      v[b] = turn(at(b) ^ at(c), 7);
    });
  }
  for (const index of state.keys()) state[index] = (state[index] ?? 0) ^ at(index) ^ at(index + 8);
}

export function blake2sMac(key: Uint8Array, message: Uint8Array): Buffer {
  const state = Uint32Array.from(IV);
  state[0] = (IV[0] ?? 0) ^ 0x01_01_00_00 ^ (key.length << 8) ^ LENGTH;
  const input = Buffer.concat([key, Buffer.alloc(BLOCK - key.length), message]);
  for (let from = 0; from < input.length; from += BLOCK) {
    const block = Buffer.alloc(BLOCK);
    input.copy(block, 0, from, from + BLOCK);
    const end = Math.min(from + BLOCK, input.length);
    compress(state, block, end, end === input.length);
  }
  const result = Buffer.alloc(LENGTH);
  for (const index of [0, 1, 2, 3]) result.writeUInt32LE(state[index] ?? 0, index * 4);
  return result;
}
