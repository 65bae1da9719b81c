/**
 * Owns the words of `branchbox signer`. Does not own what the signer does (controller/signer).
 */
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { print } from './terminal.ts';

export function register(program: Command): void {
  const signer = program
    .command('signer')
    .description('domain CA and configuration signing, in a process of its own')
    .addHelpText(
      'after',
      '\nexample: branchbox signer serve --state /var/lib/branchbox/signer --socket /run/branchbox/signer.sock',
    );
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
      const { version } = packageJson;
      await runSigner({ directory: options.state, socketPath: options.socket, version });
    });
  signer
    .command('rollover')
    .description(
      'makes the next domain CA and has the present one vouch for it: boxes take it at their next renewal',
    )
    .requiredOption('--state <directory>', 'where the signer keeps its keys; it may be running')
    .option('--sign', 'the second step: the next domain CA signs, from the next start of the signer on')
    .option('--json', 'for programs: `next`, the SHA-256 of the next domain CA')
    .addHelpText('after', '\nexample: branchbox signer rollover --state /var/lib/branchbox/signer')
    .action(async (options: { readonly state: string; readonly sign?: boolean; readonly json?: boolean }) => {
      const { beginSignerRollover, signByNextCa } = await import('../controller/signer/main.ts');
      if (options.sign === true) {
        const { fingerprintSha256 } = await signByNextCa(options.state);
        print(
          options.json === true
            ? JSON.stringify({ next: fingerprintSha256 })
            : `${fingerprintSha256} signs once the signer was started again; then start the controller again`,
        );
        return;
      }
      const [next] = await beginSignerRollover(options.state);
      print(
        options.json === true
          ? JSON.stringify({ next: next?.fingerprintSha256 })
          : `the next domain CA is ${next?.fingerprintSha256 ?? 'none'}; boxes trust it once they renewed, within 63 days`,
      );
    });
}
