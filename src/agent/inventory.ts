/**
 * Owns what the machine says of itself: maker, product, firmware, processor. An allow-list of what leaves the box;
 * numbers that identify a machine or its owner (UUIDs, asset tags) are not on it.
 * Slow and of many processes: read once a boot, after the box works.
 */
import type { HardwareFact } from '../model/facts.ts';

const MAX_CHARACTERS = 128;

export async function readHardware(): Promise<HardwareFact> {
  // By its default: in the bundle a CommonJS package has no named exports.
  const { default: machineOf } = await import('systeminformation');
  const { system, bios, baseboard, cpu } = machineOf;
  const [machine, firmware, board, processor] = await Promise.all([system(), bios(), baseboard(), cpu()]);
  const text = (value: unknown): string => (typeof value === 'string' ? value.slice(0, MAX_CHARACTERS) : '');
  return {
    manufacturer: text(machine.manufacturer),
    product: text(machine.model),
    biosVendor: text(firmware.vendor),
    biosVersion: text(firmware.version),
    board: text(board.model),
    processor: text(processor.brand),
    cores: Number.isInteger(processor.cores) ? processor.cores : 0,
  };
}
