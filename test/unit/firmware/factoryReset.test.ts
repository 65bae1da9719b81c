/**
 * A reset of a disk with a bad block, and one where what runs does not end, by factory-reset's own functions on files; real disks
 * are in test/lab/factoryReset.test.ts.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const RESET = readFileSync(join(import.meta.dirname, '../../../firmware/factory-reset'), 'utf8');
const functionsOf = (...names: readonly string[]): string =>
  names
    .map(
      (name) =>
        new RegExp(`^${name}(?:=.*|\\(\\) \\{.*\\}|\\(\\) \\{\\n[^]*?^\\})$`, 'm').exec(RESET)?.[0] ?? '',
    )
    .join('\n');
/** In KiB, so that a file stands for a large partition. */
const SIZE = 40;
const KEPT = 'k';

describe('a data partition with a bad block', () => {
  let directory: string;
  let device: string;
  const program = (name: string, script: string): void =>
    writeFileSync(join(directory, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  /** What is left of it, as the numbers of the parts, and what was said. */
  const erase = (type: string): { status: number | null; left: number[]; said: string } => {
    program('blkid', `echo ${type}`);
    const functions = functionsOf('say', 'part_bytes', 'overwrite', 'zero_head', 'erase');
    const script = `set -eu\n${functions}\nerase ${device}; echo went on`
      .replaceAll('/sys/class/block', join(directory, 'block'))
      .replaceAll('bs=1M', 'bs=1K');
    const { status, stdout, stderr } = spawnSync('sh', ['-c', script], {
      encoding: 'utf8',
      env: { PATH: `${directory}/bin:${process.env['PATH'] ?? ''}`, FACTORY_RESET_PART_BYTES: '1024' },
    });
    const left = Array.from({ length: SIZE }, (_, part) => part).filter((part) =>
      readFileSync(device)
        .subarray(part * 1024, (part + 1) * 1024)
        .includes(KEPT),
    );
    return { status, left, said: stdout + stderr };
  };
  /** Nothing is written over that part. */
  const bad = (part: number): void =>
    program(
      'dd',
      `for word; do case $word in seek=*) at=\${word#seek=} ;; count=*) count=\${word#count=} ;; esac; done
      case "$*" in *seek_bytes*) at=$((at / 1024)); count=1 ;; esac
      [ "\${at:-0}" -gt ${part} ] || [ $((\${at:-0} + count)) -le ${part} ] || exit 1
      exec /usr/bin/dd "$@"`,
    );

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-reset-'));
    device = join(directory, 'sda7');
    for (const folder of ['bin', 'block/sda7']) mkdirSync(join(directory, folder), { recursive: true });
    writeFileSync(join(directory, 'block/sda7/size'), `${(SIZE * 1024) / 512}\n`);
    writeFileSync(device, KEPT.repeat(SIZE * 1024));
    program('blkdiscard', 'exit 1');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('has its keys overwritten, and no more, where there is none', () => {
    const { status, left, said } = erase('crypto_LUKS');
    expect([status, left]).toEqual([0, [32, 33, 34, 35, 36, 37, 38, 39]]);
    expect(said).toMatch(/cannot discard; its keys are overwritten\nwent on/);
  });

  it.each(['crypto_LUKS', 'ext4'])('loses all but that part, and the reset goes on: %s', (type) => {
    bad(5);
    const { status, left, said } = erase(type);
    expect([status, left]).toEqual([0, [5]]);
    expect(said).toContain('1 parts of');
    expect(said).toMatch(/destroy the disk\n(.*\n)*went on/);
  });
});

describe('a reset where the data is a directory', () => {
  let directory: string;
  let engine: Server | undefined;
  const program = (name: string, script: string): void =>
    writeFileSync(join(directory, 'bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  /** What was called, in order, and what was said. */
  const clear = (): { status: number | null; calls: string[]; said: string } => {
    const script =
      `set -eu\ntarget=gateway.target\n${functionsOf('say', 'remove_containers', 'running_containers', 'end_containers', 'clear_directories')}
      empty_directories() { echo emptied >>"$CALLS"; }
      clear_directories`
        .replaceAll('/run/docker.sock', join(directory, 'docker.sock'))
        .replaceAll('/run/containerd', join(directory, 'containerd'))
        .replaceAll('/proc/', `${join(directory, 'proc')}/`);
    const calls = join(directory, 'calls');
    const { status, stdout, stderr } = spawnSync('sh', ['-c', script], {
      encoding: 'utf8',
      env: { PATH: `${directory}/bin:${process.env['PATH'] ?? ''}`, CALLS: calls },
    });
    return { status, calls: readFileSync(calls, 'utf8').trim().split('\n'), said: stdout + stderr };
  };
  const startEngine = async (socket = 'docker.sock'): Promise<void> => {
    engine = createServer();
    await new Promise<void>((resolve) => engine?.listen(join(directory, socket), resolve));
  };
  const ID = 'a1'.repeat(32);
  const BUNDLES = 'containerd/io.containerd.runtime.v2.task/moby';
  /** As containerd's shim notes it, without an end of the line. */
  const noteContainer = (pid: number): void => {
    const bundle = join(directory, BUNDLES, ID);
    mkdirSync(bundle, { recursive: true });
    writeFileSync(join(bundle, 'init.pid'), String(pid));
  };
  const runProcess = (pid: number, cgroup: string): void => {
    mkdirSync(join(directory, 'proc', String(pid)), { recursive: true });
    writeFileSync(join(directory, 'proc', String(pid), 'cgroup'), `0::${cgroup}\n`);
  };
  const runContainer = (): void => {
    noteContainer(4711);
    runProcess(4711, `/system.slice/docker-${ID}.scope`);
  };
  /** An engine that answers, and whose containers end when they are removed. */
  const removes = (): void =>
    program(
      'curl',
      `case "$*" in *DELETE*) echo remove >>"$CALLS"; rm -r ${join(directory, BUNDLES, ID)} ;;
      *) echo '[{"Id":"${ID}","Image":"x"}]' ;; esac`,
    );

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-reset-'));
    mkdirSync(join(directory, 'bin'));
    program('systemctl', 'echo "$1 $2" >>"$CALLS"');
  });
  afterEach(() => {
    engine?.close();
    engine = undefined;
    rmSync(directory, { recursive: true });
  });

  it('removes the containers that the engine names, before that is stopped', async () => {
    await startEngine();
    runContainer();
    removes();
    expect(clear()).toEqual({
      status: 0,
      calls: [
        'stop branchbox-agent.service',
        'remove',
        'stop docker.service',
        'emptied',
        'start gateway.target',
      ],
      said: '',
    });
  });

  it('says so where the engine does not answer, and goes on', async () => {
    await startEngine();
    program('curl', 'exit 28');
    const { status, calls, said } = clear();
    expect([status, calls.slice(-2)]).toEqual([0, ['emptied', 'start gateway.target']]);
    expect(said).toContain('the container engine does not answer');
  });

  it('asks an engine that hangs on one container for no other: the unit has five minutes for all', async () => {
    await startEngine();
    const others = ['b2', 'c3'].map((each) => `{"Id":"${each.repeat(32)}"}`);
    program(
      'curl',
      `case "$*" in *DELETE*) echo remove >>"$CALLS"; exit 28 ;; *) echo '[{"Id":"${ID}"},${others.join()}]' ;; esac`,
    );
    const { status, calls, said } = clear();
    expect([status, calls.filter((call) => call === 'remove')]).toEqual([0, ['remove']]);
    expect(said).toContain('the container engine does not answer');
  });

  it('asks it for each other where it refuses one', async () => {
    await startEngine();
    program(
      'curl',
      `case "$*" in *DELETE*) echo remove >>"$CALLS"; exit 22 ;; *) echo '[{"Id":"${ID}"},{"Id":"${'b2'.repeat(32)}"}]' ;; esac`,
    );
    expect(clear().calls.filter((call) => call === 'remove')).toHaveLength(2);
  });

  it('says nothing of an engine where there is none, nor of a container that has ended', () => {
    noteContainer(4711);
    expect(clear()).toMatchObject({ status: 0, said: '' });
    // Its number is somebody else's by now.
    runProcess(4711, '/system.slice/chrony.service');
    expect(clear()).toMatchObject({ status: 0, said: '' });
  });

  it('starts an engine that is down while its containers run on, and has it remove them', async () => {
    await startEngine('docker.sock.later');
    runContainer();
    removes();
    const later = join(directory, 'docker.sock.later');
    program(
      'systemctl',
      `echo "$1 $2" >>"$CALLS"; [ "$1 $2" != "start docker.service" ] || mv ${later} ${join(directory, 'docker.sock')}`,
    );
    const { status, calls, said } = clear();
    expect(status).toBe(0);
    expect(calls).toEqual([
      'stop branchbox-agent.service',
      'start docker.service',
      'remove',
      'stop docker.service',
      'emptied',
      'start gateway.target',
    ]);
    expect(said).toMatch(/1 containers still run: their engine is down/);
    expect(said).not.toContain('restart');
  });

  it.each([
    ['its engine does not start', 'exit 7', 'the container engine does not start'],
    [
      'it is not removed',
      `case "$*" in *DELETE*) exit 22 ;; *) echo '[{"Id":"${'a1'.repeat(32)}"}]' ;; esac`,
      '',
    ],
  ])('restarts with its mark where a container runs on: %s', async (_why, curl, told) => {
    await startEngine();
    runContainer();
    program('curl', curl);
    program(
      'systemctl',
      `echo "$1 \${2:-}" >>"$CALLS"; [ "$1 \${2:-}" != "start docker.service" ] || ${told === '' ? 'true' : 'false'}`,
    );
    const { status, calls, said } = clear();
    expect([status, calls]).toEqual([0, ['stop branchbox-agent.service', 'start docker.service', 'reboot']]);
    expect(said).toContain(told);
    expect(said).toContain('1 containers cannot be ended while this system runs: it restarts');
  });

  it('goes on, and has somebody restart it, where that cannot be done from here', () => {
    runContainer();
    program('systemctl', 'echo "$1 $2" >>"$CALLS"; case $1$2 in reboot* | startdocker*) exit 1 ;; esac');
    const { status, calls, said } = clear();
    expect([status, calls.slice(-2)]).toEqual([0, ['emptied', 'start gateway.target']]);
    expect(said).toMatch(/it does not restart by itself: restart it\. Until then 1 containers run on/);
  });

  it('goes on where something does not stop: the agent is stopped by then', () => {
    program('systemctl', 'echo "$1 $2" >>"$CALLS"; [ "$1 $2" != "stop docker.service" ]');
    const { status, calls, said } = clear();
    expect([status, calls.slice(-2)]).toEqual([0, ['emptied', 'start gateway.target']]);
    expect(said).toContain('not all that runs here was stopped');
  });
});

describe('a reset that the start of the box goes on with', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-reset-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const run = (script: string, ...words: string[]): string => {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', script, 'factory-reset', ...words], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
    return stdout;
  };

  it('says who asked for it and empties the directories; without a mark it does nothing', () => {
    const script = RESET.replaceAll('/var/lib', directory).replaceAll('/etc/frr', directory);
    mkdirSync(join(directory, 'docker'));
    writeFileSync(join(directory, 'docker/volume'), 'a tenant’s');
    expect(run(script, 'finish')).toBe('');
    expect(readdirSync(join(directory, 'docker'))).toEqual(['volume']);
    writeFileSync(join(directory, 'branchbox-factory-reset'), 'console 1750000000\n');
    expect(run(script, 'finish')).toMatch(/^factory-reset: a reset was asked for: console 1750000000 *\n$/);
    expect(readdirSync(directory)).toEqual(['docker']);
    expect(readdirSync(join(directory, 'docker'))).toEqual([]);
  });

  it('says what its mark on the disk says, whatever somebody wrote there', () => {
    mkdirSync(join(directory, 'esp-reset/branchbox'), { recursive: true });
    // The file systems are directories.
    const script = `set -eu; boot=${directory}; mark=branchbox/factory-reset
      ${functionsOf('say', 'with_esp', 'is_marked', 'words_of', 'read_mark', 'wipe')}
      partition_of() { [ "$2" != esp ] || echo '/dev/none 1'; }
      mount() { :; }
      umount() { :; }
      wipe sda`;
    expect(run(script)).toBe('');
    writeFileSync(join(directory, 'esp-reset/branchbox/factory-reset'), 'sold\x1b[2J\nto B');
    expect(run(script)).toMatch(
      /^factory-reset: a reset was asked for: sold  2J to B\nfactory-reset: the data is gone/,
    );
    writeFileSync(join(directory, 'esp-reset/branchbox/factory-reset'), '');
    expect(run(script)).toMatch(/^factory-reset: a reset was asked for: \nfactory-reset: the data is gone/);
  });
});
