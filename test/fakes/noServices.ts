/** Owns an init system for tests of what else a box does: it starts nothing, and runs nothing. */
import type { Services } from '../../src/system/ports.ts';

export const noServices: Services = {
  start: async () => {},
  stop: async () => {},
  restart: async () => {},
  list: async () => [],
};
