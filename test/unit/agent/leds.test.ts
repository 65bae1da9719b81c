import { describe, expect, it } from 'vitest';
import { createLeds, ledStateOf } from '../../../src/agent/leds.ts';
import type { HardwareModel } from '../../../src/model/hardware.ts';
import { silentLog as silent } from '../../fakes/silentLog.ts';
const leds: HardwareModel['leds'] = [
  { label: '1', sysfs: 'box:1', shows: { ok: 'on', failed: 'fast' } },
  { label: '2', sysfs: 'box:2', shows: { failed: 'slow' } },
];

type Parts = Parameters<typeof createLeds>[0];
/** A model that tells no states of bootstrap apart has no use for the journal. */
const unread = (): never => expect.unreachable();
const ledsBy = (writeKernel: Parts['files']['writeKernel'], more: Partial<Parts> = {}) =>
  createLeds({
    model: { leds },
    journalPath: 'journal',
    files: { readText: unread, writeKernel },
    log: silent,
    ...more,
  });

describe('LEDs', () => {
  it.each([
    ['downloading', true, 'updating'],
    ['trial', true, 'updating'],
    ['ready', false, 'updating'],
    ['refused', true, 'degraded'],
    ['idle', false, 'unowned'],
  ] as const)('of a box whose firmware is %s (owned: %s) say %s', (firmware, owned, state) =>
    expect(ledStateOf({ owned, health: 'degraded', firmware })).toBe(state),
  );

  it('show a state once, and off where the model says nothing', async () => {
    const written: string[] = [];
    const shown = ledsBy(async (path, content) => void written.push(`${path}=${content}`));
    await shown.show('ok');
    await shown.show('ok');
    expect(written.splice(0)).toEqual([
      '/sys/class/leds/box:1/trigger=none',
      '/sys/class/leds/box:1/brightness=255',
      '/sys/class/leds/box:2/trigger=none',
      '/sys/class/leds/box:2/brightness=0',
    ]);
    await shown.show('failed');
    expect(written.slice(0, 3)).toEqual([
      '/sys/class/leds/box:1/trigger=timer',
      '/sys/class/leds/box:1/delay_on=100',
      '/sys/class/leds/box:1/delay_off=100',
    ]);
  });

  it('that are not there keep no other from its state', async () => {
    const written: string[] = [];
    const shown = ledsBy(async (path, content) => {
      if (path.includes('box:1')) throw new Error('ENOENT');
      written.push(content);
    });
    await shown.show('failed');
    expect(written).toEqual(['timer', '500', '500']);
  });

  it('are set when their driver brings them, and the others not again', async () => {
    const written: string[] = [];
    let isThere = false;
    let warned = 0;
    const shown = ledsBy(
      async (path, content) => {
        if (path.includes('box:1') && !isThere) throw new Error('ENOENT');
        written.push(`${path.replace('/sys/class/leds/', '')}=${content}`);
      },
      { log: { ...silent, warn: () => void (warned += 1) } },
    );
    await shown.show('ok');
    await shown.show('ok');
    expect(written.splice(0)).toEqual(['box:2/trigger=none', 'box:2/brightness=0']);
    expect(warned).toBe(1);
    isThere = true;
    await shown.show('ok');
    await shown.show('ok');
    expect(written).toEqual(['box:1/trigger=none', 'box:1/brightness=255']);
  });

  it('show the last of two states that come at once, one after the other', async () => {
    const written: string[] = [];
    const shown = ledsBy(async (path, content) => {
      await new Promise(setImmediate);
      if (path.includes('box:1')) written.push(content);
    });
    await Promise.all([shown.show('failed'), shown.show('ok')]);
    expect(written).toEqual(['timer', '100', '100', 'none', '255']);
  });

  it('tell the states of bootstrap apart by their own words where the model does', async () => {
    const written: string[] = [];
    let state = 'LINK';
    const shown = createLeds({
      model: {
        leds: [{ label: '1', sysfs: 'box:1', shows: { unowned: 'slow', ENROLLING: 'fast', degraded: 'on' } }],
      },
      journalPath: 'journal',
      files: {
        readText: async () => JSON.stringify({ schema: 1, entries: [{ state, enteredAtMs: 0 }] }),
        writeKernel: async (_path, content) => void written.push(content),
      },
      log: silent,
    });
    await shown.show('unowned');
    expect(written.splice(0)).toEqual(['timer', '500', '500']);
    state = 'ENROLLING';
    await shown.show('unowned');
    expect(written.splice(0)).toEqual(['timer', '100', '100']);
    state = 'OPERATIONAL';
    await shown.show('degraded');
    expect(written.splice(0)).toEqual(['none', '255']);
    state = 'ENROLLING';
    await shown.show('updating');
    expect(written).toEqual(['none', '0']);
  });

  it('show a reset before all else, also where the model tells no other state of bootstrap apart', async () => {
    const written: string[] = [];
    const shown = createLeds({
      model: {
        leds: [{ label: '1', sysfs: 'box:1', shows: { ok: 'on', updating: 'slow', resetting: 'fast' } }],
      },
      journalPath: 'journal',
      files: {
        readText: async () => JSON.stringify({ schema: 1, entries: [{ state: 'WIPE', enteredAtMs: 0 }] }),
        writeKernel: async (_path, content) => void written.push(content),
      },
      log: silent,
    });
    await shown.show('ok');
    expect(written.splice(0)).toEqual(['timer', '100', '100']);
    await shown.show('updating');
    expect(written).toEqual(['timer', '100', '100']);
  });
});
