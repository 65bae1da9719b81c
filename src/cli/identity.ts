/**
 * Owns the words of `branchbox identity`: the process that bootstraps the box and keeps its certificate.
 */
import { statSync } from 'node:fs';
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { runIdentity } from '../bootstrap/main.ts';
import { createLinuxSystem } from '../system/linux/system.ts';

export function register(program: Command): void {
  const identity = program
    .command('identity')
    .description('the identity process of this box (started by branchbox-identity.service)')
    .action(run);
  identity.command('run').description('the same').action(run);
}

async function run(): Promise<void> {
  const ending = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => ending.abort());
  await runIdentity({
    system: createLinuxSystem({ name: 'identity' }),
    version: packageJson.version,
    builtAtMs: builtAtMs(),
    signal: ending.signal,
  });
}

/** The bundle's own file: the image gives it the time of its making. */
function builtAtMs(): number {
  try {
    return statSync(process.argv[1] ?? '').mtimeMs;
  } catch {
    return 0;
  }
}
