/**
 * Owns the words of `branchbox agent`: the process that holds a box to its desired state.
 */
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { runAgent } from '../agent/main.ts';
import { CRASHES_DIRECTORY } from '../model/crash.ts';
import { runLongLived } from '../system/linux/longLived.ts';

export function register(program: Command): void {
  program
    .command('agent')
    .description('the agent of this box (started by branchbox-agent.service)')
    .addHelpText('after', '\nexample: systemctl stop branchbox-agent && branchbox agent')
    .action(async () => {
      const { version } = packageJson;
      await runLongLived({ name: 'agent', version, crashes: CRASHES_DIRECTORY }, (signal) =>
        runAgent({ version, tpmTold: process.env['BRANCHBOX_TPM'], signal }),
      );
    });
}
