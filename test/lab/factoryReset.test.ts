/**
 * The reset of a box with partitions, on a disk in a file with a real table and real file systems: the data goes, and
 * nothing else; a power cut at any step is followed by the same reset. And the button that asks for one.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const FIRMWARE = join(import.meta.dirname, '../../firmware');
const sh = (script: string, ...args: string[]): string =>
  execFileSync('sh', ['-euc', script, 'sh', ...args], { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
/**
 * A mount namespace whose /dev holds the disk's own nodes, made anew each time since partitions come and go: no udev
 * runs here, and the host's /dev is not touched. What a script mounts is gone with it.
 */
const NAMESPACE = `
mount -t tmpfs run /run
mount -t tmpfs dev /dev
mknod -m 666 /dev/null c 1 3; mknod /dev/zero c 1 5; mknod /dev/random c 1 8; mknod /dev/urandom c 1 9
for block in /sys/block/$LOOP /sys/block/$LOOP/"$LOOP"p*; do
  [ ! -e "$block/dev" ] || mknod "/dev/\${block##*/}" b $(tr : ' ' <"$block/dev")
done
mkdir /run/m
`;

describe('a reset of the data partition', () => {
  let directory: string;
  let loop: string;
  const on = (script: string): string =>
    execFileSync(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-euc', `${NAMESPACE}\n${script}`],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: process.env['PATH'],
          LOOP: loop,
          ESP: `/dev/${loop}p1`,
          FACTORY: `/dev/${loop}p2`,
          DATA: `/dev/${loop}p3`,
          DISK: `/dev/${loop}`,
          RESET: join(FIRMWARE, 'factory-reset'),
          SCRATCH: directory,
        },
      },
    ).toString();
  const labels = (): string[] =>
    on('sfdisk --json $DISK')
      .split('\n')
      .flatMap((line) => /"name": "([^"]+)"/.exec(line)?.[1] ?? []);
  const mark = (): string =>
    on('mount $ESP /run/m; mkdir -p /run/m/branchbox; echo button >/run/m/branchbox/factory-reset');
  const isMarked = (): boolean => on('mount $ESP /run/m; ls /run/m/branchbox').includes('factory-reset');
  const reset = (verb: string): string => on(`sh $RESET ${verb} $LOOP`);
  /** Up to the restart that it asks for, after which the kernel has read the table anew. */
  const wipe = (): void => {
    expect(on('sh $RESET wipe $LOOP; ls /run/branchbox/boot')).toContain('restart');
    on('partx -d --nr 3 $DISK');
  };
  const filesOf = (device: string): string =>
    on(`mount ${device} /run/m; cat /run/m/file 2>/dev/null || ls /run/m`).trim();
  /** As systemd-repart does where the label is missing. */
  const remake = (): void => {
    on(
      'echo "size=48M, name=branchbox-data" | sfdisk --quiet --append --no-reread --no-tell-kernel --wipe never --wipe-partitions never $DISK; partx -a --nr 3 $DISK',
    );
    on('mkfs.ext4 -q $DATA');
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-reset-'));
    const disk = join(directory, 'disk');
    sh(
      'truncate -s 128M "$1"; printf "label: gpt\\nsize=16M, name=esp\\nsize=16M, name=branchbox-factory\\nsize=48M, name=branchbox-data\\n" | sfdisk --quiet "$1"',
      disk,
    );
    loop = sh('losetup --find --show "$1"', disk).trim().replace('/dev/', '');
    // Not by the kernel: it may know no GPT.
    on('partx -a $DISK');
    on('for device in $ESP $FACTORY $DATA; do mkfs.ext4 -q $device; done');
    on(
      'mount $FACTORY /run/m; echo the identity >/run/m/file; umount /run/m; mount $DATA /run/m; echo tenant secret >/run/m/file',
    );
  });
  afterEach(() => {
    on('partx -d $DISK');
    sh('losetup --detach "/dev/$1"', loop);
    rmSync(directory, { recursive: true });
  });

  it('does nothing where none was asked for', () => {
    reset('wipe');
    reset('done');
    expect(labels()).toEqual(['esp', 'branchbox-factory', 'branchbox-data']);
    expect(filesOf('$DATA')).toBe('tenant secret');
  });

  it('erases the data and its partition, and leaves the factory’s; the mark goes last', () => {
    mark();
    wipe();
    expect(labels()).toEqual(['esp', 'branchbox-factory']);
    expect(sh('grep -c "tenant secret" "$1" || :', join(directory, 'disk')).trim()).toBe('0');
    expect(isMarked()).toBe(true);
    remake();
    reset('done');
    expect(isMarked()).toBe(false);
    expect(filesOf('$DATA')).toBe('lost+found');
    expect(filesOf('$FACTORY')).toBe('the identity');
  });

  it('says how far it is, and asks for more time with each part of a large disk that is done', () => {
    mark();
    const said = on(
      'mkdir /run/bin; printf "#!/bin/sh\\necho told \\$1\\n" >/run/bin/systemd-notify; chmod 755 /run/bin/systemd-notify; ' +
        'NOTIFY_SOCKET=/run/none PATH=/run/bin:$PATH FACTORY_RESET_PART_BYTES=16777216 sh $RESET wipe $LOOP',
    );
    expect(said.match(/erased \d+ %/g)).toEqual(['erased 33 %', 'erased 66 %', 'erased 100 %']);
    expect(said.match(/^told EXTEND_TIMEOUT_USEC=\d+$/gm)).toHaveLength(3);
    expect(sh('grep -c "tenant secret" "$1" || :', join(directory, 'disk')).trim()).toBe('0');
  });

  it('says which parts could not be written, and calls them not erased', () => {
    mark();
    const said = on(
      'mkdir /run/bin; dd=$(command -v dd); printf "#!/bin/sh\\ncase \\"\\$*\\" in *seek=16777216*) exit 1 ;; esac\\nexec $dd \\"\\$@\\"\\n" >/run/bin/dd; ' +
        'printf "#!/bin/sh\\nexit 1\\n" >/run/bin/blkdiscard; chmod 755 /run/bin/*; ' +
        'PATH=/run/bin:$PATH FACTORY_RESET_PART_BYTES=16777216 sh $RESET wipe $LOOP',
    );
    expect(said.match(/(erased|went over) \d+ %/g)).toEqual([
      'erased 33 %',
      'went over 66 %',
      'went over 100 %',
    ]);
    expect(said).toContain('1 parts of');
    expect(said).toContain('destroy the disk');
  });

  it('is not taken for one that nobody asked for where the mark cannot be looked at; the box starts', () => {
    mark();
    on('dd if=/dev/zero of=$ESP bs=1M count=4 conv=notrunc 2>/dev/null');
    const said = reset('wipe');
    expect(said).toContain('cannot be mounted: a reset that was asked for is not known of');
    expect(labels()).toEqual(['esp', 'branchbox-factory', 'branchbox-data']);
    expect(reset('done')).toContain('the next start may erase the data again');
  });

  it('ends a LUKS volume’s keys', () => {
    on(
      'echo k >/run/key; cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $DATA /run/key',
    );
    expect(on('cryptsetup luksDump $DATA')).toContain('Keyslots');
    mark();
    wipe();
    // Whoever finds where it was, finds nothing.
    on(
      'echo "size=48M, name=x" | sfdisk --quiet --append --no-reread --no-tell-kernel --wipe never --wipe-partitions never $DISK; partx -a --nr 3 $DISK',
    );
    expect(() => on('cryptsetup luksDump $DATA')).toThrow('not a valid LUKS device');
  });

  it('goes on after a power cut at each step', () => {
    mark();
    wipe();
    // Cut before the partition was made: the next start finds the mark and no partition.
    reset('wipe');
    expect(labels()).toEqual(['esp', 'branchbox-factory']);
    remake();
    // Cut after it was made and before the mark went: it is made once more.
    wipe();
    expect(labels()).toEqual(['esp', 'branchbox-factory']);
    remake();
    reset('done');
    reset('wipe');
    expect(labels()).toEqual(['esp', 'branchbox-factory', 'branchbox-data']);
  });
});

describe('the reset button', () => {
  let root: string;
  const put = (path: string, text: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text, { mode: 0o755 });
  };
  /** struct input_event of a 64 bit machine. */
  const event = (type: number, code: number, value: number): Buffer => {
    const bytes = Buffer.alloc(24);
    bytes.writeUInt16LE(type, 16);
    bytes.writeUInt16LE(code, 18);
    bytes.writeInt32LE(value, 20);
    return bytes;
  };
  const environment = (): NodeJS.ProcessEnv => ({
    RESET_BUTTON_ROOT: root,
    PATH: `${root}/bin:${process.env['PATH'] ?? ''}`,
  });
  const isButton = (name: string): boolean => {
    put('sys/class/input/event3/device/name', `${name}\n`);
    try {
      execFileSync(join(FIRMWARE, 'reset-button'), ['--is', 'event3'], { env: environment() });
      return true;
    } catch {
      return false;
    }
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'bbt-button-'));
    put('etc/branchbox/factory/model', 'box\n');
    put(
      'usr/lib/branchbox/models/box.toml',
      'model = "box"\n\n[resetButton]\ninput = "gpio-keys-polled"\ncode = 408\nholdSeconds = 3\n',
    );
    put('bin/systemctl', `#!/bin/sh\necho "$@" >${root}/asked\n`);
    put('sys/class/input/event3/device/name', 'gpio-keys-polled\n');
    mkdirSync(join(root, 'proc'));
    symlinkSync('/proc/uptime', join(root, 'proc/uptime'));
    mkdirSync(join(root, 'dev/input'), { recursive: true });
    execFileSync('mkfifo', [join(root, 'dev/input/event3')]);
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('is the input device that the hardware model names, and no keyboard', () => {
    expect(isButton('gpio-keys-polled')).toBe(true);
    expect(isButton('AT Translated Set 2 keyboard')).toBe(false);
    put('etc/branchbox/factory/model', 'generic\n');
    expect(isButton('gpio-keys-polled')).toBe(false);
  });

  it('resets when it is held, and not when it is only pressed', async () => {
    // The time is the test's: a button that nobody holds any more is not held an hour later either.
    let upSeconds = 100;
    const later = (): void => {
      upSeconds += 3600;
      // Whoever reads it meanwhile reads all of it.
      put('proc/next', `${upSeconds}.00 1.00\n`);
      renameSync(join(root, 'proc/next'), join(root, 'proc/uptime'));
    };
    later();
    put('bin/systemctl', `#!/bin/sh\necho "$@" >>${root}/asked\n`);
    const child = spawn(join(FIRMWARE, 'reset-button'), ['event3'], { env: environment(), stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const device = openSync(join(root, 'dev/input/event3'), 'w');
    /** Asleep again: whoever waits for a pipe is woken by the write itself. */
    const taken = async (...events: readonly Buffer[]): Promise<void> => {
      for (const one of events) {
        writeSync(device, one);
        await expect.poll(() => readFileSync(`/proc/${child.pid}/stat`, 'latin1')).toMatch(/\) S /);
      }
    };
    const asked = (): string => sh('cat "$1" 2>/dev/null || :', join(root, 'asked'));
    const [pressed, repeated, released] = [event(1, 408, 1), event(1, 408, 2), event(1, 408, 0)];
    const [another, movement, wakes] = [event(1, 30, 1), event(2, 408, 1), event(0, 0, 0)];
    for (const others of [[pressed, released], [another], [movement]]) {
      await taken(...others);
      later();
      await taken(wakes);
    }
    expect(asked()).toBe('');
    await taken(pressed);
    later();
    await taken(repeated);
    // Once: it is not held anew by who just goes on.
    later();
    await taken(repeated);
    // It ends with its device, and has read all that came from there by then.
    closeSync(device);
    await ended;
    expect(asked()).toBe('--no-block start branchbox-factory-reset@button.service\n');
  });

  it('counts by how long the machine runs: the time of day may be set while it is held', async () => {
    const hour =
      'model = "box"\n\n[resetButton]\ninput = "gpio-keys-polled"\ncode = 408\nholdSeconds = 3600\n';
    put('usr/lib/branchbox/models/box.toml', hour);
    rmSync(join(root, 'proc/uptime'));
    put('proc/uptime', '100.00 1.00\n');
    const child = spawn(join(FIRMWARE, 'reset-button'), ['event3'], { env: environment(), stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const device = openSync(join(root, 'dev/input/event3'), 'w');
    writeSync(device, event(1, 408, 1));
    let upSeconds = 100;
    const held = (): string => {
      // An hour more each time: wherever it is with its reading, the next look is late enough.
      upSeconds += 3600;
      put('proc/uptime', `${upSeconds}.00 1.00\n`);
      writeSync(device, event(1, 408, 2));
      return sh('cat "$1" 2>/dev/null || :', join(root, 'asked'));
    };
    await expect.poll(held, { timeout: 20_000 }).toContain('start branchbox-factory-reset@button.service');
    closeSync(device);
    await ended;
  });
});
