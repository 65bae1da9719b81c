/**
 * The data partition's mount options against the real ext4: what is on the medium right after somebody's record became
 * durable is what a power cut leaves.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const UNIT = new URL('../../firmware/root/usr/lib/systemd/system/var.mount', import.meta.url);
/** In a mount namespace of its own, so that nothing stays mounted. Prints the size of each file after the cut. */
const SCRIPT = `
cd "$1"
truncate --size=64M disk
mkfs.ext4 -q -F disk
mkdir before after
mount -o "loop,$2" disk before
# As a container engine does it: what is unpacked is not synced, then named, and a record of the name is synced.
mkdir before/unpacking
for name in a b c; do head -c 100000 /dev/zero >before/unpacking/$name; done
mv before/unpacking before/layer
echo layer >before/record
sync before/record
# What the device was not given yet is what the cut takes.
cp --sparse=always disk cut
mount -o loop,noatime cut after
cat after/record
stat --format=%s after/layer/*
`;

/** The record, then sizes of the files of what it names. */
function afterCut(options: string): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), 'branchbox-data-'));
  try {
    const words = ['--mount', '--propagation', 'private', 'sh', '-euc', SCRIPT, 'sh', directory, options];
    const { status, stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return stdout.trim().split('\n');
  } finally {
    rmSync(directory, { recursive: true });
  }
}

it('lets no name become durable before the files that it stands for', () => {
  const options = /^Options=(.*)$/m.exec(readFileSync(UNIT, 'utf8'))?.[1] ?? '';
  expect(afterCut(options)).toEqual(['layer', '100000', '100000', '100000']);
});

it('would without the option that says so: files are there by name, and empty', () => {
  expect(afterCut('noatime')).toEqual(['layer', '0', '0', '0']);
});
