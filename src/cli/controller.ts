/**
 * Owns the words of `branchbox controller` that are about the process. Does not own what the controller does (controller/main),
 * nor the words about its certificates (controllerCertificates.ts).
 */
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { runLongLived } from '../system/linux/longLived.ts';
import { registerCertificates } from './controllerCertificates.ts';

export function register(program: Command): void {
  const controller = program
    .command('controller')
    .description('fleet, inventory, bootstrap and EST server, MQTT: the process that boxes belong to')
    .addHelpText('after', '\nexample: branchbox controller serve --config /etc/branchbox/controller.toml');
  controller
    .command('serve')
    .description('runs the controller until it is told to end')
    .requiredOption('--config <file>', 'its configuration (docs/controller.md)')
    .option('--raise-epoch', 'once, after its database was restored from an old copy', false)
    .addHelpText('after', '\nexample: branchbox controller serve --config /etc/branchbox/controller.toml')
    .action(async (options: { readonly config: string; readonly raiseEpoch: boolean }) => {
      const { runController } = await import('../controller/main.ts');
      const { config: configPath, raiseEpoch } = options;
      await runLongLived({ name: 'controller', version: packageJson.version }, (signal) =>
        runController({ configPath, raiseEpoch, signal }),
      );
    });
  controller
    .command('anchors')
    .description(
      'writes manufacturer.pem, voucher.pem, domain.pem and tls.pem, and says where the admin credential is',
    )
    .requiredOption('--config <file>', 'its configuration')
    .requiredOption('--out <directory>', 'where the files go')
    .option('--json', 'as JSON, which it is anyway')
    .addHelpText(
      'after',
      '\nexample: branchbox controller anchors --config /etc/branchbox/controller.toml --out anchors',
    )
    .action(async (options: { readonly config: string; readonly out: string }) => {
      const { writeAnchors } = await import('../controller/main.ts');
      const written = await writeAnchors({ configPath: options.config, out: options.out });
      process.stdout.write(`${JSON.stringify(written, undefined, 2)}\n`);
    });
  registerCertificates(controller);
}
