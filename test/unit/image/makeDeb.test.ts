/**
 * What Debian's policy asks of the package's own documentation, by make-deb.sh as it is, on a few files in the place of
 * payload and units. The package itself is installed in test/lab/package.test.ts.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';

const CHECKOUT = join(import.meta.dirname, '../../..');
const SOURCE_DATE_EPOCH = '1750000000';
let directory: string;

/** What is packed of a version, and where. */
function pack(version: string): string {
  const at = mkdtempSync(join(directory, 'made-'));
  const staged = join(at, 'staged');
  const bin = join(at, 'bin');
  for (const place of [join(staged, 'payload'), join(staged, 'units'), bin])
    mkdirSync(place, { recursive: true });
  writeFileSync(join(staged, 'payload/branchbox.sh'), '#!/bin/sh\n');
  for (const name of ['containerd', 'docker'])
    writeFileSync(join(staged, 'units', `${name}.service`), '[Service]\nExecStart=/bin/true\n');
  writeFileSync(join(at, 'packages.txt'), 'frr # routes\n\nnftables\n');
  // No package is packed: what would be in it lies in its directory.
  writeFileSync(join(bin, 'dpkg-deb'), '#!/bin/sh\n', { mode: 0o755 });
  const script = readFileSync(join(CHECKOUT, 'image/make-deb.sh'), 'utf8').replaceAll(
    '/tmp/deb',
    join(at, 'deb'),
  );
  const words = [
    staged,
    version,
    join(at, 'packages.txt'),
    join(CHECKOUT, 'firmware/root'),
    join(at, 'out.deb'),
  ];
  execFileSync('sh', ['-c', script, 'make-deb.sh', ...words], {
    env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, SOURCE_DATE_EPOCH },
  });
  return join(at, 'deb');
}
const docsOf = (root: string): string[] => readdirSync(join(root, 'usr/share/doc/branchbox')).sort();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-deb-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('has a changelog of its version and the commit’s time, the same to the byte in each build', () => {
  const [first, second] = [pack('0.2.0~rc1'), pack('0.2.0~rc1')];
  expect(docsOf(first)).toEqual(['changelog.gz', 'copyright']);
  const packed = readFileSync(join(first, 'usr/share/doc/branchbox/changelog.gz'));
  expect(packed).toEqual(readFileSync(join(second, 'usr/share/doc/branchbox/changelog.gz')));
  // RFC 1952 2.3: no name of a file, no time; 2.3.1: the slowest algorithm.
  expect([packed[3], packed.readUInt32LE(4), packed[8]]).toEqual([0, 0, 2]);
  // The form of deb-changelog(5).
  expect(gunzipSync(packed).toString()).toMatch(
    /^branchbox \(0\.2\.0~rc1\) trixie; urgency=medium\n\n {2}\* \S.*\n\n -- Branchbox maintainers <\S+> {2}Sun, 15 Jun 2025 15:06:40 \+0000\n$/,
  );
  expect(readFileSync(join(first, 'DEBIAN/control'), 'utf8')).toContain('\nVersion: 0.2.0~rc1\n');
  expect(readFileSync(join(first, 'DEBIAN/md5sums'), 'utf8')).toContain(
    'usr/share/doc/branchbox/changelog.gz',
  );
});

it('calls it Debian’s where the version has a revision, and says a version as dpkg takes it', () => {
  const root = pack('1.0^git1-2');
  expect(docsOf(root)).toEqual(['changelog.Debian.gz', 'copyright']);
  const packed = readFileSync(join(root, 'usr/share/doc/branchbox/changelog.Debian.gz'));
  expect(gunzipSync(packed).toString()).toMatch(/^branchbox \(1\.0\+git1-2\) /);
  expect(readFileSync(join(root, 'DEBIAN/control'), 'utf8')).toContain('\nVersion: 1.0+git1-2\n');
});

it('takes its state with it when it is purged, the mark of a reset that was cut too', () => {
  const script = readFileSync(join(pack('1.0'), 'DEBIAN/postrm'), 'utf8')
    .replaceAll('/var/', `${directory}/`)
    .replaceAll('/etc/', `${directory}/etc/`);
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  for (const name of ['userdel', 'systemctl']) writeFileSync(join(bin, name), '#!/bin/sh\n', { mode: 0o755 });
  for (const place of ['lib/branchbox/identity', 'cache/branchbox', 'lib/others'])
    mkdirSync(join(directory, place), { recursive: true });
  writeFileSync(join(directory, 'lib/branchbox-factory-reset'), 'controller 1750000000\n');
  const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  execFileSync('sh', ['-c', script, 'postrm', 'remove'], { env });
  expect(readdirSync(join(directory, 'lib'))).toHaveLength(3);
  execFileSync('sh', ['-c', script, 'postrm', 'purge'], { env });
  expect([readdirSync(join(directory, 'lib')), readdirSync(join(directory, 'cache'))]).toEqual([
    ['others'],
    [],
  ]);
});
