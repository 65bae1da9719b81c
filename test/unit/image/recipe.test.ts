/** What the recipe's lists must hold to, without building anything. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const lines = (path: string): string[] =>
  text(path)
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');

/** What a `[Partition]` file says, by key. */
const partition = (path: string): Record<string, string> =>
  Object.fromEntries(
    lines(path)
      .filter((line) => line.includes('='))
      .map((line) => line.split('=', 2) as [string, string]),
  );

describe('package lists', () => {
  it.each(['image/packages.txt', 'image/packages-image.txt'])('%s brings no compiler, no login', (path) => {
    const unwanted = /^(gcc|g\+\+|make|openssh-client|ssh|build-essential|sudo|nodejs|docker-cli)$/;
    expect(lines(path).filter((name) => unwanted.test(name))).toEqual([]);
  });

  it('name each package once', () => {
    const all = [...lines('image/packages.txt'), ...lines('image/packages-image.txt')];
    expect(all.filter((name, index) => all.indexOf(name) !== index)).toEqual([]);
  });
});

describe('modules', () => {
  it.each([
    ['a disk of virtio', ['drivers/block/virtio_blk.ko', 'drivers/scsi/virtio_scsi.ko']],
    [
      'a CD-ROM, as most hypervisors give it',
      ['drivers/scsi/sr_mod.ko', 'drivers/ata/ahci.ko', 'fs/isofs/*'],
    ],
    ['FAT, as OpenStack may write it', ['fs/fat/*', 'fs/nls/nls_cp437.ko', 'fs/nls/nls_ascii.ko']],
  ])('read an instance’s user data from %s', (_what, modules) => {
    expect(lines('image/modules.txt')).toEqual(expect.arrayContaining(modules));
  });
});

describe('partitions', () => {
  const ON_BOX = 'firmware/root/usr/lib/branchbox/repart';

  it('that the download brings are met by what the box makes of the rest', () => {
    for (const name of readdirSync(join(ROOT, 'image/repart.d'))) {
      const { Format: _format, ...built } = partition(`image/repart.d/${name}`);
      expect(partition(`${ON_BOX}/common/${name}`), name).toEqual(built);
    }
  });

  it('of slot B are as large as those of slot A', () => {
    for (const [a, b] of [
      ['20-root-a', '30-root-b'],
      ['21-verity-a', '31-verity-b'],
    ]) {
      const { Label: _a, ...first } = partition(`${ON_BOX}/common/${a}.conf`);
      const { Label: _b, ...second } = partition(`${ON_BOX}/common/${b}.conf`);
      expect(second).toEqual(first);
    }
  });

  it('for data differ in encryption alone', () => {
    const { Encrypt, ...sealed } = partition(`${ON_BOX}/tpm2/50-data.conf`);
    expect(Encrypt).toBe('tpm2');
    expect(partition(`${ON_BOX}/plain/50-data.conf`)).toEqual(sealed);
  });
});

describe('steps', () => {
  it.each(readdirSync(join(ROOT, 'image')).filter((name) => name.endsWith('.sh')))(
    '%s stops at an error',
    (name) => {
      expect(text(`image/${name}`)).toMatch(/^#!\/bin\/sh\n# .*\n(#.*\n)*set -eu$/m);
      expect(statSync(join(ROOT, 'image', name)).mode & 0o111).not.toBe(0);
    },
  );
});
