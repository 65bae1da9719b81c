/**
 * Owns the words of `branchbox installer-page`: the page on LAN ports of a box that is not enrolled.
 */
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { runLongLived } from '../system/linux/longLived.ts';
import { runInstallerPage } from '../web/installer/main.ts';

export function register(program: Command): void {
  program
    .command('installer-page')
    .description(
      'the page on LAN ports of a box that is not enrolled (started by branchbox-installer-page.service)',
    )
    .addHelpText('after', '\nexample: systemctl stop branchbox-installer-page && branchbox installer-page')
    .action(async () => {
      const { version } = packageJson;
      await runLongLived({ name: 'installer-page', version }, (signal) => runInstallerPage({ signal }));
    });
}
