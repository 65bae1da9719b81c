/**
 * The data partition's mount options against the real ext4: what is on the medium right after somebody's record became
 * durable is what a power cut leaves; and what an app fills is not all of it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const FIRMWARE = join(import.meta.dirname, '../../firmware');
const UNIT = join(FIRMWARE, 'root/usr/lib/systemd/system/var.mount');
const OPEN_DATA = join(FIRMWARE, 'root/usr/lib/branchbox/open-data');
const OPTIONS = /^Options=(.*)$/m.exec(readFileSync(UNIT, 'utf8'))?.[1] ?? '';
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

/** Docker's default ones, as setpriv takes them. */
const APP_CAPABILITIES =
  'chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,sys_chroot,mknod,audit_write,setfcap'.replaceAll(
    /\w+/g,
    '+$&',
  );
/**
 * An app fills the disk as root, on a volume and then in its own root, and the box's own process writes 40 MiB more; how
 * many MiB each had. `$3`: the function of open-data that keeps room, `$4`: that process's groups, `$5`: an app's capabilities.
 */
const FILL = `
cd "$1"
truncate --size=256M disk
# As systemd-repart makes it.
mkfs.ext4 -q -F -m 0 -b 4096 -T default disk
eval "$3"
keep_room disk
once=$(sha256sum disk)
keep_room disk
[ "$(sha256sum disk)" = "$once" ]
mkdir data
mount -o "loop,$2" disk data
mkdir data/volume data/lower data/upper data/work data/app data/state
mount -t overlay app -o lowerdir=data/lower,upperdir=data/upper,workdir=data/work data/app
fill='dd if=/dev/zero of="$0" bs=1M count="$1" oflag=append status=none 2>/dev/null; echo $(($(stat --format=%s "$0") >> 20))'
app() { setpriv --clear-groups --bounding-set "-all,$capabilities" sh -c "$fill" "$1" 1000; }
capabilities=$5
app data/volume/file
app data/app/file
setpriv --groups "$4" --bounding-set=-all sh -c "$fill" data/state/file 40
`;
/** Lines that a script printed in a mount namespace of its own, in an empty directory. */
function linesOf(script: string, ...words: readonly string[]): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), 'branchbox-data-'));
  try {
    const own = ['--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh', directory];
    const { status, stdout, stderr } = spawnSync('unshare', [...own, ...words], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return stdout.trim().split('\n');
  } finally {
    rmSync(directory, { recursive: true });
  }
}

it('lets no name become durable before the files that it stands for', () => {
  expect(linesOf(SCRIPT, OPTIONS)).toEqual(['layer', '100000', '100000', '100000']);
});

it('would without the option that says so: files are there by name, and empty', () => {
  expect(linesOf(SCRIPT, 'noatime')).toEqual(['layer', '0', '0', '0']);
});

/** A check that goes on until the unit was given more time twice. `$2`: the functions of open-data. */
const LONG_CHECK = `
cd "$1"
mkdir bin
printf '#!/bin/sh\\necho "$@" >>told\\n' >bin/systemd-notify
printf '#!/bin/sh\\nexec /bin/sleep 0.05\\n' >bin/sleep
printf '#!/bin/sh\\nuntil [ "$(cat told 2>/dev/null | wc -l)" -ge 2 ]; do :; done\\n' >bin/fsck.ext4
chmod 755 bin/*
PATH=$PWD/bin:$PATH NOTIFY_SOCKET=none boot=. data=disk
export PATH NOTIFY_SOCKET
eval "$2"
head -n 2 told
[ "$(cat data-check-began)" -le "$(cat data-check-ended)" ] || echo no time noted
! kill -0 "$asking" 2>/dev/null || [ -z "$(cat /proc/$asking/cmdline)" ] || echo still asks
`;
it('has as long as a check takes, and asks for it while that goes on', () => {
  const text = readFileSync(OPEN_DATA, 'utf8');
  const functions = /^more_time\(\)[^]*?^check_data\(\)[^]*?^}/m.exec(text)?.[0] ?? '';
  const use = /^more_time &\n[^]*?^kill .*$/m.exec(text)?.[0] ?? '';
  const asked = 'EXTEND_TIMEOUT_USEC=300000000';
  expect(linesOf(LONG_CHECK, `${functions}\n${use}`)).toEqual([asked, asked]);
});

describe('an app that fills the disk', () => {
  const keepRoom = /^room_kib=[^}]*^}/ms.exec(readFileSync(OPEN_DATA, 'utf8'))?.[0] ?? '';
  const fill = (options: string, groups: string): number[] =>
    linesOf(FILL, options, keepRoom, groups, APP_CAPABILITIES).map(Number);

  it.each(['agent', 'identity'])('leaves room for %s', (process) => {
    const unit = readFileSync(join(FIRMWARE, `units/branchbox-${process}.service`), 'utf8');
    const groups = /^SupplementaryGroups=(.+)$/m.exec(unit)?.[1] ?? '';
    const [volume, own, box] = fill(OPTIONS, groups);
    expect(volume).toBeGreaterThan(128);
    expect([own, box]).toEqual([0, 40]);
  });

  it('would not without the options that say for whom it is', () => {
    const [volume, , box] = fill('nodelalloc', 'operator');
    expect(volume).toBeGreaterThan(200);
    expect(box).toBeLessThan(40);
  });
});
