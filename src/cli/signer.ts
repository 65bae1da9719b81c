/**
 * Owns the words of `branchbox signer`. Does not own what the signer does (controller/signer).
 */
import type { Command } from 'commander';

export function register(program: Command): void {
  const signer = program
    .command('signer')
    .description('domain CA and configuration signing, in a process of its own');
  signer
    .command('serve')
    .description('answers the controller on a unix socket; makes its keys on the first start')
    .requiredOption('--state <directory>', 'where its keys are')
    .requiredOption('--socket <path>', 'unix socket to listen on')
    .addHelpText(
      'after',
      '\nexample: branchbox signer serve --state /var/lib/branchbox/signer --socket /run/branchbox/signer.sock',
    )
    .action(async (options: { readonly state: string; readonly socket: string }) => {
      const { runSigner } = await import('../controller/signer/main.ts');
      await runSigner({ directory: options.state, socketPath: options.socket });
    });
}
