/**
 * Owns the box's LEDs: which pattern each shows in a state, and writing it to /sys/class/leds where it changed.
 * Does not own which LEDs there are (the hardware model) nor the state of the box.
 */
import type { FirmwareStatus } from '../model/firmware.ts';
import type { HardwareModel, LedPattern, LedState } from '../model/hardware.ts';
import type { Files, Logger } from '../system/ports.ts';

const LEDS = '/sys/class/leds';
/** Half a period, of the kernel's own timer trigger: a box without an agent goes on showing what it showed last. */
const HALF_PERIOD_MS: Readonly<Record<'slow' | 'fast', number>> = { slow: 500, fast: 100 };

export interface Leds {
  /** Writes only what changed; never fails. */
  show(state: LedState): Promise<void>;
}

export function createLeds(parts: {
  readonly model: Pick<HardwareModel, 'leds'>;
  readonly files: Pick<Files, 'writeKernel'>;
  readonly log: Logger;
}): Leds {
  const { model, files, log } = parts;
  let shown: LedState | undefined;
  return {
    async show(state) {
      if (state === shown) return;
      shown = state;
      for (const { sysfs, shows } of model.leds) {
        try {
          for (const [name, value] of ledWrites(shows[state] ?? 'off')) {
            await files.writeKernel(`${LEDS}/${sysfs}/${name}`, value);
          }
        } catch (thrown) {
          log.warn('an LED cannot be set', { led: sysfs, error: thrown });
        }
      }
    },
  };
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
