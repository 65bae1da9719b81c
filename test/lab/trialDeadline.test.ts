/** The deadline of a trial without an agent: a real shell on a real file system, with a systemctl that writes down what
 * it is asked, and ends whoever has it restart the box. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createFirmwareWorld, ESP_FILE_SYSTEM, type FirmwareWorld } from './firmwareWorld.ts';

const SCRIPT = join(import.meta.dirname, '../../firmware/trial-deadline');
let world: FirmwareWorld;
let place: string;
beforeAll(() => {
  world = createFirmwareWorld();
  place = join(world.directory, 'deadline');
});
afterAll(() => world.remove());
beforeEach(() => {
  world.reset();
  rmSync(place, { recursive: true, force: true });
  for (const folder of ['bin', 'by-partuuid', 'by-partlabel', 'efivars'])
    mkdirSync(join(place, folder), { recursive: true });
  writeFileSync(
    join(place, 'bin/systemctl'),
    `#!/bin/sh\ncase $1 in show) cat ${place}/restarts ;; *) echo "$@" >>${place}/asked; kill -KILL $PPID ;; esac\n`,
    { mode: 0o755 },
  );
});

/** The entry that runs is `name`; resolves to what systemctl was asked, a line each. */
function look(name: string, upSeconds: number, restarts: number, rootHash = world.running.rootHash): string {
  world.renameEntry('branchbox_1.0.0.efi', name);
  writeFileSync(join(place, 'cmdline'), `ro roothash=${rootHash} panic=10\n`);
  writeFileSync(join(place, 'uptime'), `${upSeconds}.25 1.00\n`);
  writeFileSync(join(place, 'restarts'), `${restarts}\n`);
  // The loader says in upper case, in UTF-16, after four bytes of attributes, which partition it came from.
  const uuid = 'ab12cd34-0000-1111-2222-333344445555';
  writeFileSync(
    join(place, 'efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f'),
    Buffer.concat([Buffer.from([6, 0, 0, 0]), Buffer.from(`${uuid.toUpperCase()}\0`, 'utf16le')]),
  );
  symlinkSync(world.espNode(), join(place, 'by-partuuid', uuid));
  const ended = spawnSync('unshare', ['--mount', '--propagation', 'private', SCRIPT], {
    encoding: 'utf8',
    env: {
      PATH: `${place}/bin:${process.env['PATH'] ?? ''}`,
      TRIAL_CMDLINE: join(place, 'cmdline'),
      TRIAL_UPTIME: join(place, 'uptime'),
      TRIAL_VARIABLES: join(place, 'efivars'),
      TRIAL_DEVICES: place,
      TRIAL_STATE: join(place, 'state'),
      TRIAL_ESP_TYPE: ESP_FILE_SYSTEM.type,
      TRIAL_MOUNT: join(place, 'mount'),
      TRIAL_VERDICT_BY: join(place, 'verdict-by'),
      TRIAL_DATA_CHECK: join(place, 'data-check'),
    },
    timeout: 60_000,
  });
  expect(ended.stderr.replace(/^trial-deadline: .*\n/, '')).toBe('');
  return existsSync(join(place, 'asked')) ? readFileSync(join(place, 'asked'), 'utf8').trim() : '';
}
/** What was made durable, as words of a sync that does it and writes them down. */
function rememberSyncs(): () => readonly string[] {
  const file = join(place, 'synced');
  writeFileSync(join(place, 'bin/sync'), `#!/bin/sh\necho "$*" >>${file}\nexec /bin/sync "$@"\n`, {
    mode: 0o755,
  });
  return () => readFileSync(file, 'utf8').trim().split('\n');
}
const reason = (): string => readFileSync(join(place, 'state/trial-ended'), 'utf8').trim();

test('no verdict in ten minutes: marked, written down, restarted', () => {
  expect(look('branchbox_1.0.0+1-1.efi', 600, 0)).toBe('reboot');
  expect(world.entries()).toContain('branchbox_1.0.0+0-1.efi');
  expect(reason()).toBe('its agent gave no verdict within 10 minutes.');
});

test('waits for no other file system than its own: one that hangs would keep the box', () => {
  const synced = rememberSyncs();
  expect(look('branchbox_1.0.0+1-1.efi', 600, 0)).toBe('reboot');
  const state = join(place, 'state');
  expect(synced().toSorted()).toEqual(
    [`-f ${join(place, 'mount')}`, `${state}/trial-ended.part`, state].toSorted(),
  );
});

test.each([
  ['1000', 999, ''],
  ['1000', 1000, 'reboot'],
  ['9999', 1919, ''],
  ['9999', 1920, 'reboot'],
  ['99999', 600, 'reboot'],
  ['1000 -o x', 600, 'reboot'],
  ['', 600, 'reboot'],
])('an agent that lives and says that it judges by "%s": after %d s it is asked "%s"', (by, up, asked) => {
  writeFileSync(join(place, 'verdict-by'), by);
  expect(look('branchbox_1.0.0+1-1.efi', up, 0)).toBe(asked);
});

test.each<[string, { readonly began?: string; readonly ended?: string }, number, string]>([
  ['that ended does not count', { began: '20', ended: '1820' }, 2399, ''],
  ['that ended gives no more than it took', { began: '20', ended: '1820' }, 2400, 'reboot'],
  ['that goes on does not count', { began: '20' }, 7000, ''],
  ['whose end is half written goes on', { began: '20', ended: '' }, 7000, ''],
  ['that never ends is waited for no longer than two hours', { began: '20' }, 7800, 'reboot'],
  ['that nobody can have made does not count', { began: '1820', ended: '20' }, 600, 'reboot'],
  ['whose note is none does not count', { began: '1; x', ended: '900' }, 900, 'reboot'],
])('a check of the data partition %s', (_, { began, ended }, up, asked) => {
  if (began !== undefined) writeFileSync(join(place, 'data-check-began'), `${began}\n`);
  if (ended !== undefined) writeFileSync(join(place, 'data-check-ended'), `${ended}\n`);
  expect(look('branchbox_1.0.0+1-1.efi', up, 0)).toBe(asked);
});

test('an agent that is started again and again: the same, at once', () => {
  expect(look('branchbox_1.0.0+1-1.efi', 50, 5)).toBe('reboot');
  expect(world.entries()).toContain('branchbox_1.0.0+0-1.efi');
  expect(reason()).toBe('its agent ended 5 times, and came to no verdict.');
});

test('the second try is its last: nothing to mark, restarted', () => {
  expect(look('branchbox_1.0.0+0-2.efi', 700, 0)).toBe('reboot');
  expect(world.entries()).toContain('branchbox_1.0.0+0-2.efi');
});

test.each<[string, string, number, number]>([
  ['before the deadline', 'branchbox_1.0.0+1-1.efi', 599, 4],
  ['committed meanwhile', 'branchbox_1.0.0.efi', 6000, 50],
])('%s nothing happens', (_, name, up, restarts) => {
  expect(look(name, up, restarts)).toBe('');
  expect(world.entries()).toContain(name);
});

test('a trial of another root is not its business', () => {
  expect(look('branchbox_1.0.0+1-1.efi', 6000, 50, 'f'.repeat(64))).toBe('');
  expect(world.entries()).toContain('branchbox_1.0.0+1-1.efi');
});

test('is plain POSIX shell', () => {
  execFileSync('sh', ['-n', SCRIPT]);
});
