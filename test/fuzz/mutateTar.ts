/**
 * Owns tar archives that nobody would make, gzipped or not: names, kinds, sizes and order as an attacker has them. Does not
 * own what is taken out of one (firmware/cloud-identity).
 */
import { gzipSync } from 'node:zlib';
import type { Chance } from './chance.ts';
import { bentWord, hostileWord } from './hostileWords.ts';
import { mutateBytes } from './mutateBytes.ts';

export interface Member {
  readonly name: string;
  readonly content: string;
  /** typeflag (POSIX ustar): 0 file, 1 hard link, 2 link, 3 device, 5 directory, 6 pipe; S sparse, x and L for the next one. */
  readonly type?: string;
  readonly to?: string;
  /** As the header says it. */
  readonly size?: number;
}

const BLOCK = 512;
const TYPES: readonly string[] = [
  '0',
  '1',
  '2',
  '3',
  '4',
  '5',
  '6',
  'S',
  'L',
  'K',
  'x',
  'g',
  'V',
  'M',
  'D',
  '\0',
];
/** Zeros pack a thousandfold. */
const BOMB: Member = { name: './bomb', content: '\0'.repeat(24 * 1024 * 1024) };

export function tar(members: readonly Member[]): Buffer {
  const blocks = members.flatMap((member) => {
    const content = Buffer.from(member.content, 'latin1');
    return [
      headerOf(member, content.length),
      content,
      Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK),
    ];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function headerOf({ name, type = '0', to = '', size }: Member, length: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name.slice(0, 100), 0, 'latin1');
  header.write('0004755\0' + '0000000\0'.repeat(2), 100, 'latin1');
  header.write(`${(size ?? length).toString(8).padStart(11, '0').slice(-11)}\0`, 124, 'latin1');
  header.write('00000000000\0        ', 136, 'latin1');
  header.write(type, 156, 'latin1');
  header.write(to.slice(0, 100), 157, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** The good members, bent, and packed in some way. */
export function hostileArchive(good: readonly Member[], chance: Chance): Buffer {
  let members = [...good];
  for (let left = chance.below(5); left > 0; left -= 1) members = bend(members, chance);
  let bytes: Buffer = tar(members);
  if (chance.once(6)) bytes = Buffer.from(mutateBytes(bytes, chance, []));
  if (chance.once(60)) return gzipSync(Buffer.concat([bytes.subarray(0, -2 * BLOCK), tar([BOMB]), bytes]));
  bytes = chance.once(12) ? bytes : gzipSync(bytes);
  if (chance.once(6)) bytes = Buffer.from(mutateBytes(bytes, chance, []));
  return bytes;
}

function bend(members: readonly Member[], chance: Chance): Member[] {
  const at = chance.below(members.length + 1);
  const member = members[at] ?? { name: './serial', content: 'x' };
  const put = (...instead: readonly Member[]): Member[] => members.toSpliced(at, 1, ...instead);
  switch (chance.below(9)) {
    case 0:
      return put();
    case 1:
      return put({ ...member, content: bentWord(member.content, chance) });
    case 2:
      return put({
        ...member,
        type: chance.one(TYPES),
        to: chance.one([hostileWord(chance), '/etc/shadow', '../secret']),
      });
    case 3:
      return put({ ...member, name: bentWord(member.name, chance) }, member);
    case 4:
      return put({
        ...member,
        name: chance.one(['../', '/', '././', './a/../', '']) + member.name.replace('./', ''),
      });
    case 5:
      return put({ ...member, size: chance.one([0, 1, 511, 70_000, 8 ** 11 - 1]) }, member);
    case 6:
      return put({ ...member, content: 'A'.repeat(chance.one([65_535, 65_536, 65_537, 131_073, 300_000])) });
    case 7:
      // As GNU tar has a long name, and what a header of POSIX may say of the next one.
      return put(
        chance.once(2)
          ? { name: '././@LongLink', type: 'L', content: `${hostileWord(chance)}\0` }
          : { name: 'pax', type: 'x', content: `30 path=${hostileWord(chance)}\n20 size=9999999999\n` },
        member,
      );
    default:
      return put(member, { ...member, content: hostileWord(chance) });
  }
}
