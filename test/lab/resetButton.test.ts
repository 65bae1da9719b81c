/** The button that asks for a factory reset, by the events of an input device that is a pipe of the test's. */
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
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
import { afterEach, beforeEach, expect, it } from 'vitest';

const FIRMWARE = join(import.meta.dirname, '../../firmware');
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
/** Of systemctl. */
const asked = (): string => {
  const path = join(root, 'asked');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
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

it('the reset button is the input device that the hardware model names, and no keyboard', () => {
  expect(isButton('gpio-keys-polled')).toBe(true);
  expect(isButton('AT Translated Set 2 keyboard')).toBe(false);
  put('etc/branchbox/factory/model', 'generic\n');
  expect(isButton('gpio-keys-polled')).toBe(false);
});

it('the reset button resets when it is held, and not when it is only pressed', async () => {
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

it('the reset button counts by how long the machine runs: the time of day may be set while it is held', async () => {
  const hour = 'model = "box"\n\n[resetButton]\ninput = "gpio-keys-polled"\ncode = 408\nholdSeconds = 3600\n';
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
    return asked();
  };
  await expect.poll(held, { timeout: 20_000 }).toContain('start branchbox-factory-reset@button.service');
  closeSync(device);
  await ended;
});
