/** Owns a logger that says nothing. */
import type { Logger } from '../../src/system/ports.ts';

export const silentLog: Logger = { debug() {}, info() {}, warn() {}, error() {} };
