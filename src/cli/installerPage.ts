/**
 * Owns the words of `branchbox installer-page`: the page on LAN ports of a box that is not enrolled.
 */
import type { Command } from 'commander';
import { runInstallerPage } from '../web/installer/main.ts';

export function register(program: Command): void {
  program
    .command('installer-page')
    .description(
      'the page on LAN ports of a box that is not enrolled (started by branchbox-installer-page.service)',
    )
    .action(async () => {
      const ending = new AbortController();
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => ending.abort());
      await runInstallerPage({ signal: ending.signal });
    });
}
