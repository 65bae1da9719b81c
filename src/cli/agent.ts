/**
 * Owns the words of `branchbox agent`: the process that holds a box to its desired state.
 */
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { runAgent } from '../agent/main.ts';

export function register(program: Command): void {
  program
    .command('agent')
    .description('the agent of this box (started by branchbox-agent.service)')
    .action(async () => {
      const ending = new AbortController();
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => ending.abort());
      await runAgent({
        version: packageJson.version,
        tpmTold: process.env['BRANCHBOX_TPM'],
        signal: ending.signal,
      });
    });
}
