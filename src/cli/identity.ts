/**
 * Owns the words of `branchbox identity`: the process that bootstraps the box and keeps its certificate, and the request
 * for the factory's certificate of a key in the box's TPM.
 */
import { statSync } from 'node:fs';
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { makeRequest, runIdentity } from '../bootstrap/main.ts';
import { CRASHES_DIRECTORY } from '../model/crash.ts';
import { runLongLived } from '../system/linux/longLived.ts';
import { createLinuxSystem } from '../system/linux/system.ts';

const RUN_EXAMPLE = '\nexample: systemctl stop branchbox-identity && branchbox identity run';

export function register(program: Command): void {
  const identity = program
    .command('identity')
    .description('the identity process of this box (started by branchbox-identity.service)')
    .addHelpText('after', RUN_EXAMPLE)
    .action(run);
  identity.command('run').description('the same').addHelpText('after', RUN_EXAMPLE).action(run);
  identity
    .command('request')
    .description(
      'in the factory: makes idevid.key in the TPM of this box, and prints a request for its certificate',
    )
    .requiredOption('--serial <serial>', 'serial of this box')
    .requiredOption('--out <directory>', 'where idevid.key goes, which this TPM alone can use')
    .addHelpText(
      'after',
      '\nexample: branchbox identity request --serial SN-1 --out sn-1 > sn-1.csr\n' +
        'then, at the manufacturer: branchbox manufacturer identity --request sn-1.csr --serial SN-1 ...',
    )
    .action(printRequest);
}

async function printRequest(options: { readonly serial: string; readonly out: string }): Promise<void> {
  const request = await makeRequest({
    system: createLinuxSystem({ name: 'identity' }),
    tpmTold: process.env['BRANCHBOX_TPM'],
    serial: options.serial,
    directory: options.out,
  });
  process.stdout.write(request);
}

async function run(): Promise<void> {
  const { version } = packageJson;
  await runLongLived({ name: 'identity', version, crashes: CRASHES_DIRECTORY }, (signal) =>
    runIdentity({
      system: createLinuxSystem({ name: 'identity' }),
      tpmTold: process.env['BRANCHBOX_TPM'],
      version,
      builtAtMs: builtAtMs(),
      signal,
    }),
  );
}

/** The bundle's own file: the image gives it the time of its making. */
function builtAtMs(): number {
  try {
    return statSync(process.argv[1] ?? '').mtimeMs;
  } catch {
    return 0;
  }
}
