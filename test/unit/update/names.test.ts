/** What an update reads from names and tables: versions in their order, boot entries with counters, root hashes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FirmwareVersion } from '../../../src/model/firmware.ts';
import { badEntryName, parseEntryName, trialEntryName } from '../../../src/update/entries.ts';
import { parseTable, partitionUuids } from '../../../src/update/slots.ts';
import { readRootHash, rootHashOf } from '../../../src/update/uki.ts';
import { compareFirmwareVersions } from '../../../src/update/version.ts';

describe('versions', () => {
  // UAPI.10's own list, oldest first.
  const ordered = [
    '122.1',
    '123~rc1-1',
    '123',
    '123-a',
    '123-a.1',
    '123-1',
    '123-1.1',
    '123^post1',
    '123.a-1',
    '123.1-1',
    '123a-1',
    '124-1',
  ];
  it.each(ordered.slice(1).map((later, i) => [ordered[i] ?? '', later]))(
    '%s is older than %s',
    (older, newer) => {
      expect(compareFirmwareVersions(older, newer)).toBe(-1);
      expect(compareFirmwareVersions(newer, older)).toBe(1);
      expect(compareFirmwareVersions(newer, newer)).toBe(0);
    },
  );
  it.each([
    ['0.9.0', '0.10.0', -1],
    ['1.0', '1.00', 0],
    ['1.0.0', '1.0', 1],
    ['2', '10', -1],
    ['99999999999999999999998', '99999999999999999999999', -1],
  ])('%s against %s', (a, b, order) => expect(compareFirmwareVersions(a, b)).toBe(order));

  // As `systemd-analyze compare-versions` has them: names that nobody should give, and the loader orders all the same.
  const asTheLoader = [
    ['1^', '1^.^.', 1],
    ['1~', '1~~01', -1],
    ['1^.0~-', '1^-', -1],
    ['1-.a1~', '1--^a', -1],
    ['1^^.', '1^..^', 1],
    ['1--.', '1-^-1', 1],
    ['1-^a.1', '1-', -1],
    ['1^~1^1', '1^.1', 1],
    ['1-~-1', '1-.', 1],
    ['1^^.0', '1^^~..', -1],
    ['1^~00', '1^.^0b', 1],
    ['1~~', '1~.--', 1],
    ['10^~~', '10^~-', 1],
    ['1-', '1-.0~', 1],
    ['1~~b', '1~', 1],
    ['1-~', '1-^', 1],
    ['1^-^', '1^...1', 1],
    ['1~.b', '1~~', -1],
    ['1b^101', '1', 1],
    ['10~0', '100', -1],
    ['1', '1.', -1],
    ['1b~a', '110a-.', -1],
    ['1..', '11110^', -1],
    ['11.0~', '1~1', 1],
    ['1000', '1b~.b', 1],
    ['1.0', '1b', -1],
    ['1', '1^~~a-', -1],
    ['111^0', '110-0', 1],
    ['1b.-0a', '10a1.-', -1],
    ['1a1', '1a.^^', 1],
    ['1^~1', '1-^-0', 1],
    ['1~1-', '1~~.', 1],
    ['100^10', '1.^', 1],
    ['1^a', '1^01', -1],
  ] as const;
  it.each(asTheLoader)('%s against %s, as the loader', (a, b, order) => {
    expect([a, b].map((version) => FirmwareVersion.safeParse(version).success)).toEqual([true, true]);
    expect([compareFirmwareVersions(a, b), compareFirmwareVersions(b, a)]).toEqual([order, -order]);
  });

  it('of any two names one order follows from the other, and equal zeros change none', () => {
    const name = fc
      .array(fc.constantFrom('0', '1', '10', 'a', 'b', '.', '~', '^', '-'), { maxLength: 7 })
      .map((parts) => `1${parts.join('')}`);
    fc.assert(
      fc.property(name, name, (a, b) => {
        const order = compareFirmwareVersions(a, b);
        expect(compareFirmwareVersions(b, a) + order).toBe(0);
        expect(compareFirmwareVersions(a, a)).toBe(0);
        expect(compareFirmwareVersions(`0${a}`, b)).toBe(order);
      }),
    );
  });
});

describe('boot entries', () => {
  it.each([
    ['branchbox_0.1.0.efi', '0.1.0', undefined, 0],
    ['branchbox_0.2.0+2.efi', '0.2.0', 2, 0],
    ['branchbox_0.2.0~rc1+1-1.efi', '0.2.0~rc1', 1, 1],
    ['branchbox_1-2+0-2.efi', '1-2', 0, 2],
  ])('%s', (file, version, triesLeft, triesDone) =>
    expect(parseEntryName(file)).toEqual({ file, version, triesLeft, triesDone }),
  );
  it.each([
    'other_1.efi',
    'branchbox_.efi',
    'branchbox_1+.efi',
    'branchbox_1+2-.efi',
    '.branchbox.new',
    'branchbox_1.EFI',
  ])('%s is none of ours', (file) => expect(parseEntryName(file)).toBeUndefined());
  it('are marked so that the loader passes over them, by how often they were tried', () => {
    expect(badEntryName({ version: '1.1.0', triesDone: 1 })).toBe('branchbox_1.1.0+0-1.efi');
    expect(trialEntryName('1.1.0')).toBe('branchbox_1.1.0+2.efi');
  });
});

describe('a root hash', () => {
  const hash = 'ab'.repeat(16) + 'cd'.repeat(16);
  it('is split over the partitions of its slot, and read from them', () => {
    const uuids = partitionUuids(hash);
    expect(uuids).toEqual({
      root: 'abababab-abab-abab-abab-abababababab',
      verity: 'cdcdcdcd-cdcd-cdcd-cdcd-cdcdcdcdcdcd',
    });
    const partition = (n: number, name: string, uuid: string) => ({
      node: `/dev/nvme0n1p${n}`,
      start: n,
      size: 100,
      type: 'x',
      uuid,
      name,
    });
    const other = '00000000-0000-0000-0000-000000000000';
    const partitions = [
      partition(1, 'esp', other),
      partition(2, 'branchbox-root-a', uuids.root.toUpperCase()),
      partition(3, 'branchbox-verity-a', uuids.verity.toUpperCase()),
      partition(4, 'branchbox-root-b', other),
      partition(5, 'branchbox-verity-b', other),
    ];
    const table = (list: readonly unknown[]) =>
      JSON.stringify({
        partitiontable: { label: 'gpt', device: '/dev/nvme0n1', unit: 'sectors', partitions: list },
      });
    const { slots, esp } = parseTable(table(partitions));
    expect([slots.a.rootHash, slots.b.root.number, slots.b.root.sizeBytes, esp.node]).toEqual([
      hash,
      4,
      51_200,
      '/dev/nvme0n1p1',
    ]);
    expect(() => parseTable(table(partitions.slice(0, 4)))).toThrow(/no partition branchbox-verity-b/);
    expect(() => parseTable(table([...partitions, partition(6, 'esp', other)]))).toThrow(/more than one/);
    expect(() => parseTable('{')).toThrow(/cannot be read/);
  });
  it.each([
    [`ro roothash=${hash} panic=10`, hash],
    [`roothash=${hash}`, hash],
    [`usrroothash=${hash}`, undefined],
    [`roothash=${hash}0`, undefined],
    ['ro', undefined],
  ])('of %s', (line, found) => expect(rootHashOf(line)).toBe(found));
  it('is read from no file that is not a whole UKI', async () => {
    const read = (bytes: Buffer) => async (offset: number, length: number) =>
      bytes.subarray(offset, offset + length);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(4096), Buffer.alloc(4096, 0xff), Buffer.from('MZ')]) {
      expect(await readRootHash(read(bytes))).toBeUndefined();
    }
  });
});
