/**
 * Owns what the rest of the agent sees of an updater, and the one of a box that has no slots.
 * Does not own the one that works (worker.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import type { FirmwareRequest, FirmwareStatus, LocalFirmware } from '../model/firmware.ts';

export interface Updater {
  run(signal: AbortSignal): Promise<void>;
  /** What is wanted may have changed. */
  wake(): void;
  status(): FirmwareStatus;
  read(signal: AbortSignal): Promise<LocalFirmware>;
  /** Throws where it cannot be begun; what becomes of it is in the status. */
  request(request: FirmwareRequest): Promise<void>;
}

/** Of a box without slots: says so, and why. */
export function createNoUpdater(version: string, reason: string): Updater {
  const status = (): FirmwareStatus => ({ version, state: 'unavailable', sentence: reason });
  return {
    run: async () => {},
    wake() {},
    status,
    read: async () => ({ status: status(), asked: false, history: [] }),
    async request() {
      throw new BranchboxError('firmware/unavailable', { message: reason });
    },
  };
}
