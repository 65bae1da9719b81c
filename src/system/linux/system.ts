/**
 * Owns putting the real ports together. For composition roots alone (agent, cli, lab, controller).
 */
import type { System } from '../ports.ts';
import { createClock } from './clock.ts';
import { createFiles } from './files.ts';
import { createLogger } from './logger.ts';
import { createRunner, type RunnerOptions } from './runner.ts';
import { createServices } from './services.ts';

export interface LinuxSystemOptions extends RunnerOptions {
  /** Of the process, in its log lines. */
  readonly name: string;
}

export function createLinuxSystem(options: LinuxSystemOptions): System {
  const runner = createRunner(options);
  const level = process.env['BRANCHBOX_DEBUG'] === undefined ? 'info' : 'debug';
  return {
    runner,
    files: createFiles(),
    clock: createClock(),
    services: createServices({ runner }),
    log: createLogger({ name: options.name, level }),
  };
}
