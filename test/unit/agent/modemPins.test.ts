/** Which PIN was given to which SIM: three wrong ones block it, so that none is given twice, whatever ends in between. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createModemPins } from '../../../src/agent/modemPins.ts';
import { Secret } from '../../../src/model/secret.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { silentLog } from '../../fakes/silentLog.ts';

const sim = { iccid: '8949', imei: '3549', pinTries: 3 };
const pin = new Secret('4711');
const another = new Secret('4712');
let directory: string;
let path: string;
/** As after each start of the agent: from the disk alone. */
const start = () => createModemPins({ files: createFiles(), log: silentLog }, path);
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-pins-'));
  path = join(directory, 'pins.json');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('a PIN that was refused stays refused, by that SIM and in no other one', async () => {
  const pins = await start();
  await pins.sending(sim, pin);
  await pins.refused(sim, pin);
  const later = await start();
  // The right one in a phone gives all tries back, and makes the wrong one no better.
  expect(later.standing({ ...sim, pinTries: 3 }, pin)).toBe('refused');
  expect(later.standing({ ...sim, imei: 'other modem' }, pin)).toBe('refused');
  expect(later.standing(sim, another)).toBe('untried');
  expect(later.standing({ ...sim, iccid: 'other SIM' }, pin)).toBe('untried');
  expect(later.standing(sim, undefined)).toBe('untried');
  // A SIM that cannot be read while it is locked may be that one.
  expect(later.standing({ ...sim, iccid: undefined }, pin)).toBe('refused');
});

it('a SIM that cannot be told from others is known by its modem', async () => {
  const pins = await start();
  await pins.refused({ ...sim, iccid: undefined }, pin);
  expect(pins.standing(sim, pin)).toBe('refused');
  expect(pins.standing({ ...sim, imei: 'other modem' }, pin)).toBe('untried');
});

it('of one that was sent when the power went, the tries that are left tell', async () => {
  await (await start()).sending(sim, pin);
  const pins = await start();
  expect(pins.standing({ ...sim, pinTries: 2 }, pin)).toBe('unsure');
  expect(pins.standing({ ...sim, pinTries: undefined }, pin)).toBe('unsure');
  expect(pins.standing(sim, pin)).toBe('untried');
});

it('of one that had no answer, nothing tells', async () => {
  const pins = await start();
  await pins.sending(sim, pin);
  await pins.unanswered(sim, pin);
  expect((await start()).standing(sim, pin)).toBe('unsure');
});

it('one that was taken may be given again at the next start', async () => {
  const pins = await start();
  await pins.sending(sim, pin);
  await pins.forget(sim, pin);
  expect((await start()).standing({ ...sim, pinTries: 1 }, pin)).toBe('untried');
});

it('no PIN stands in the file, and a file that cannot be read lets none be sent', async () => {
  await (await start()).refused(sim, pin);
  expect(await readFile(path, 'utf8')).not.toContain('4711');
  await writeFile(path, '[{');
  expect((await start()).standing(sim, another)).toBe('unsure');
});
