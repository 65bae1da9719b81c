/** When the system's clock is taken for right. */
import { expect, it } from 'vitest';
import { isTracking, readTimeSync } from '../../../src/agent/timeSync.ts';
import { createFakeBox } from '../../fakes/box.ts';

// As chrony 4.6.1 of Debian 13 says it.
const UNSYNCED =
  '00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised';
const SYNCED =
  'C6336401,198.51.100.1,9,1795757000.123456789,-0.000012345,0.000001,0.000002,0.100,0.010,0.500,0.000200000,0.000500000,2.0,Normal';
const field = (at: number, value: string): string => SYNCED.split(',').with(at, value).join(',');
const FLOOR = '/floor';

it.each([
  ['of a chrony that follows a server', `${SYNCED}\n`, true],
  ['while a leap second is to come', field(13, 'Insert second'), true],
  ['of a chrony that follows nobody', UNSYNCED, false],
  ['that says so in one field alone', field(13, 'Not synchronised'), false],
  ['of stratum 0', field(2, '0'), false],
  ['of stratum 16', field(2, '16'), false],
  ['of a chrony that follows itself', field(0, '7F7F0101'), false],
  // It may step no more, and slews for years.
  ['while the clock is twenty years off', field(4, '-630720000.5'), false],
  ['without a number', field(4, ''), false],
  ['of another form', '506 Cannot talk to daemon', false],
  ['of nothing', '', false],
])('a line %s: %#', (_what, line, expected) => expect(isTracking(line)).toBe(expected));

it.each([
  ['right', SYNCED, 0, '1700000000000', 'right'],
  ['right where nothing was signed yet', SYNCED, 0, undefined, 'right'],
  ['right where the floor cannot be read', SYNCED, 0, 'x', 'right'],
  ['right where the floor is damaged to what no date can be', SYNCED, 0, '9999999999999999', 'right'],
  ['a lie, before what was signed for this box', SYNCED, 0, '1800000000001', 'before-floor'],
  ['unknown without a server', UNSYNCED, 0, '1700000000000', 'unknown'],
  ['unknown without chrony', '506 Cannot talk to daemon', 1, undefined, 'unknown'],
])('the clock is %s', async (_what, stdout, exitCode, floor, expected) => {
  const box = createFakeBox();
  if (floor !== undefined) await box.system.files.writeDurable(FLOOR, floor);
  box.command('chronyc', () => ({ exitCode, stdout, stderr: '' }));
  expect(await readTimeSync(box.system, FLOOR, new AbortController().signal)).toBe(expected);
  expect(box.started).toEqual(['chronyc -c -n -h /run/chrony/chronyd.sock tracking']);
});

it('is unknown where chrony is not installed', async () => {
  expect(await readTimeSync(createFakeBox().system, FLOOR, new AbortController().signal)).toBe('unknown');
});
