/**
 * Owns the box's LEDs: which pattern each shows in a state, and writing it to /sys/class/leds where it changed.
 * Does not own which LEDs there are (the hardware model) nor the state of the box.
 */
import { type BootstrapState, Journal } from '../model/bootstrap.ts';
import { decodeJson } from '../model/decode.ts';
import type { FirmwareStatus } from '../model/firmware.ts';
import { type HardwareModel, LED_STATES, type LedPattern, type LedState } from '../model/hardware.ts';
import type { Files, Logger } from '../system/ports.ts';
import { createSerialQueue } from '../system/serialQueue.ts';

const LEDS = '/sys/class/leds';
/** As the identity process caps it. */
const MAX_JOURNAL_BYTES = 512 * 1024;
/** Half a period, of the kernel's own timer trigger: a box without an agent goes on showing what it showed last. */
const HALF_PERIOD_MS: Readonly<Record<'slow' | 'fast', number>> = { slow: 500, fast: 100 };

export interface Leds {
  /** Writes only what changed, and all while one of them cannot be set; never fails. */
  show(state: LedState): Promise<void>;
}

export function createLeds(parts: {
  readonly model: Pick<HardwareModel, 'leds'>;
  readonly files: Pick<Files, 'writeKernel' | 'readText'>;
  /** The identity process's journal. */
  readonly journalPath: string;
  readonly log: Logger;
}): Leds {
  const { model, files, log, journalPath } = parts;
  const known: readonly string[] = LED_STATES;
  const followsBootstrap = model.leds.some(({ shows }) =>
    Object.keys(shows).some((word) => word === 'resetting' || !known.includes(word)),
  );
  let shown: string | undefined;
  /** Their driver may be on its way: they are tried again at each look, and told once. */
  const missing = new Set<string>();

  async function bootstrapState(): Promise<BootstrapState | undefined> {
    if (!followsBootstrap) return undefined;
    try {
      const text = await files.readText(journalPath, MAX_JOURNAL_BYTES);
      return text === undefined ? undefined : decodeJson(Journal, text, journalPath).entries.at(-1)?.state;
    } catch {
      // That a journal cannot be read is for the identity process to report.
      return undefined;
    }
  }

  const write = async (state: LedState): Promise<void> => {
    const entered = await bootstrapState();
    // An update says more than all else but a reset: the box is not to be unplugged.
    const step = state === 'updating' && entered !== 'WIPE' ? undefined : entered;
    const now = `${state} ${step ?? ''}`;
    const due = now === shown ? model.leds.filter(({ sysfs }) => missing.has(sysfs)) : model.leds;
    shown = now;
    for (const { sysfs, shows } of due) {
      try {
        for (const [name, value] of ledWrites(patternOf(shows, state, step))) {
          await files.writeKernel(`${LEDS}/${sysfs}/${name}`, value);
        }
        missing.delete(sysfs);
      } catch (thrown) {
        if (!missing.has(sysfs)) log.warn('an LED cannot be set', { led: sysfs, error: thrown });
        missing.add(sysfs);
      }
    }
  };

  // A status and a new state of bootstrap may come at once: a pattern is some writes, and those of two do not mix.
  const inTurn = createSerialQueue();
  return { show: (state) => inTurn(() => write(state)) };
}

/** Pure. */
export function patternOf(
  shows: HardwareModel['leds'][number]['shows'],
  state: LedState,
  step: BootstrapState | undefined,
): LedPattern {
  const own =
    step === undefined || step === 'OPERATIONAL' ? undefined : shows[step === 'WIPE' ? 'resetting' : step];
  return own ?? shows[state] ?? 'off';
}

/** A box that is being updated says that before all else: it is not to be unplugged. Pure. */
export function ledStateOf(box: {
  readonly owned: boolean;
  readonly health: 'ok' | 'degraded' | 'failed';
  readonly firmware: FirmwareStatus['state'];
}): LedState {
  switch (box.firmware) {
    case 'downloading':
    case 'verifying':
    case 'ready':
    case 'trial':
      return 'updating';
    case 'unavailable':
    case 'idle':
    case 'waiting':
    case 'committed':
    case 'rolled-back':
    case 'refused':
      return box.owned ? box.health : 'unowned';
  }
}

/** Files of one LED and what is written to them, in order: `delay_on` is there only after the trigger. Pure. */
export function ledWrites(pattern: LedPattern): readonly (readonly [name: string, value: string])[] {
  switch (pattern) {
    case 'off':
    case 'on':
      // Any brightness above the LED's own greatest is cut to it (Documentation/leds/leds-class.rst).
      return [
        ['trigger', 'none'],
        ['brightness', pattern === 'on' ? '255' : '0'],
      ];
    case 'slow':
    case 'fast': {
      const halfMs = String(HALF_PERIOD_MS[pattern]);
      return [
        ['trigger', 'timer'],
        ['delay_on', halfMs],
        ['delay_off', halfMs],
      ];
    }
  }
}
