/**
 * Owns the words of `branchbox manufacturer`. Does not own what the manufacturer does (controller/manufacturer).
 */
import { isIP } from 'node:net';
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { DnsName } from '../model/addresses.ts';
import { claimCodeOf } from '../model/assignment.ts';
import { BranchboxError } from '../model/errors.ts';

export function register(program: Command): void {
  const manufacturer = program
    .command('manufacturer')
    .description('factory identities and voucher signing, in a process of its own')
    .addHelpText(
      'after',
      '\nexample: branchbox manufacturer init --state /var/lib/branchbox/manufacturer --name manufacturer.example',
    );
  const main = () => import('../controller/manufacturer/main.ts');

  manufacturer
    .command('init')
    .description('makes what is missing: CAs, voucher signer, TLS certificate, client.key and client.crt')
    .requiredOption('--state <directory>', 'where its keys are')
    .requiredOption('--name <dnsname>', 'DNS name that customers call it by')
    .option('--address <ip...>', 'addresses that customers call it by', [])
    .addHelpText(
      'after',
      '\nexample: branchbox manufacturer init --state /var/lib/branchbox/manufacturer --name manufacturer.example',
    )
    .action(async (options: { state: string; name: string; address: string[] }) => {
      const { state: directory, name: dnsName } = options;
      // First: what is made here is made for good.
      if (!DnsName.safeParse(dnsName).success) {
        throw new BranchboxError('cli/usage', {
          message: `--name wants a DNS name, not "${dnsName}"`,
          mend: 'for instance --name manufacturer.example; addresses go to --address',
        });
      }
      // A unit passes what its environment file says as one word, and that may be several addresses or nothing.
      const addresses = options.address
        .flatMap((word) => word.split(/\s+/))
        .filter((address) => address !== '');
      const wrong = addresses.find((address) => isIP(address) === 0 || address.includes('%'));
      if (wrong !== undefined) {
        throw new BranchboxError('cli/usage', {
          message: `--address wants IP addresses, not "${wrong}"`,
          mend: 'for instance --address 192.0.2.1 2001:db8::1; a name goes to --name',
        });
      }
      await (await main()).runInit({ directory, dnsName, addresses });
      process.stdout.write(
        `the manufacturer's keys are in ${directory}; its controller needs of them: service-ca.crt, client.crt, client.key, ca.crt, voucher-ca.crt\n`,
      );
    });
  manufacturer
    .command('serve')
    .description('answers voucher requests of its customers under mutual TLS')
    .requiredOption('--state <directory>', 'where its keys are')
    .requiredOption('--listen <address:port>', 'for instance 0.0.0.0:9443')
    .addHelpText(
      'after',
      '\nexample: branchbox manufacturer serve --state /var/lib/branchbox/manufacturer --listen 0.0.0.0:9443',
    )
    .action(async (options: { readonly state: string; readonly listen: string }) => {
      const { version } = packageJson;
      await (await main()).runServe({ directory: options.state, ...parseListen(options.listen), version });
    });
  manufacturer
    .command('identity')
    .description('makes one factory identity and remembers its serial')
    .requiredOption('--state <directory>', 'where its keys are')
    .requiredOption('--serial <serial>', 'serial of the box; given once')
    .requiredOption('--model <model>', 'hardware model, as in firmware/models')
    .requiredOption('--out <directory>', 'where the files for /etc/branchbox/factory go')
    .option('--request <file>', 'of the box, whose TPM holds the key: branchbox identity request')
    .option('--json', 'print what was made as JSON')
    .addHelpText(
      'after',
      '\nexample: branchbox manufacturer identity --state /var/lib/branchbox/manufacturer --serial SN-1 --model generic --out sn-1',
    )
    .action(async (options: IdentityOptions) => {
      const { state: directory, serial, model, out, request: requestPath } = options;
      const made = await (await main()).runIdentity({ directory, serial, model, out, requestPath });
      if (options.json === true) process.stdout.write(`${JSON.stringify(made)}\n`);
      else {
        const code = claimCodeOf(made.spkiSha256);
        process.stdout.write(
          `${made.serial} is in ${out} (key ${made.spkiSha256})\nfor its label: claim code ${code}\n`,
        );
      }
    });
}

interface IdentityOptions {
  readonly state: string;
  readonly serial: string;
  readonly model: string;
  readonly out: string;
  readonly request?: string;
  readonly json?: boolean;
}

/** `192.0.2.1:9443` or `[2001:db8::1]:9443`. */
function parseListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  if (isIP(host) === 0 || !(port >= 0 && port <= 65_535)) {
    throw new BranchboxError('cli/usage', {
      message: `--listen wants an address and a port, not "${text}"`,
      mend: 'for instance --listen 0.0.0.0:9443, or --listen [::]:9443',
    });
  }
  return { host, port };
}
