/**
 * Owns the words of `branchbox lab`. Does not own what they do: each loads its part of src/lab when it is called.
 */
import type { Command } from 'commander';
import { BranchboxError } from '../model/errors.ts';

interface LabOption {
  readonly lab: string;
}

/** One of each word, shown by its --help. */
const EXAMPLES = {
  up: 'up default --lab second',
  down: 'down --lab second',
  status: 'status --json',
  info: 'info --json',
  identity: 'identity branch9 --out /tmp/branch9',
  events: 'events --json',
  restart: 'restart branch1 --factory',
  exec: 'exec branch1-red -- ping -c3 10.10.0.12',
  shell: 'shell branch1',
  cut: 'cut branch1 internet --loss 20 --direction in',
  heal: 'heal branch1 internet',
} as const;

export function register(program: Command): void {
  const lab = program
    .command('lab')
    .description('an internet, a controller, a hub, branches and hosts in namespaces of this machine')
    .enablePositionalOptions()
    .addHelpText('after', `\nexample: branchbox lab ${EXAMPLES.up}`);
  const word = (usage: keyof typeof EXAMPLES, summary: string): Command =>
    lab
      .command(usage)
      .description(summary)
      .option('--lab <name>', 'which lab, of several side by side', 'default')
      .addHelpText('after', `\nexample: branchbox lab ${EXAMPLES[usage]}`);

  word('up', 'make a lab and wait until it works')
    .argument('[topology]', 'a folder of src/lab/topologies', 'default')
    .option('--nodes-only', 'stop when the nodes run, before anything is configured')
    .option('--vm', 'the topology vm: branch2 is a virtual machine of the image')
    .action(async (topology: string, options: LabOption & { nodesOnly?: boolean; vm?: boolean }) => {
      if (options.vm === true && topology !== 'default') {
        throw new BranchboxError('cli/usage', {
          message: `--vm is the topology vm: it cannot be ${topology} too`,
          mend: 'name one or the other',
        });
      }
      const { labUp } = await import('./labUp.ts');
      await labUp(options.lab, options.vm === true ? 'vm' : topology, {
        nodesOnly: options.nodesOnly === true,
      });
    });
  lab
    .command('prepare')
    .description('install what is missing and make the Debian 13 trees of nodes and image; start nothing')
    .addHelpText('after', '\nexample: branchbox lab prepare')
    .action(async () => {
      const { labPrepare } = await import('./labUp.ts');
      await labPrepare();
    });
  word('down', 'end a lab and leave nothing').action(async (options: LabOption) => {
    const { labDown } = await import('./labUp.ts');
    await labDown(options.lab);
  });
  word('status', 'each node, its uplinks, paths, segments and apps; ends with 1 where one is not well')
    .option('--json', 'for programs')
    .action(async (options: LabOption & { json?: boolean }) => {
      const { printStatus } = await import('./labRead.ts');
      await printStatus(options.lab, options.json === true);
    });
  word('info', 'what a program must know to use the lab: nodes, endpoints, anchors, credential')
    .option('--json', 'as JSON, which it is anyway')
    .action(async (options: LabOption) => {
      const { printInfo } = await import('./labRead.ts');
      await printInfo(options.lab);
    });
  word('identity', 'a factory identity that the controller knows, for a client of your own')
    .argument('<name>', 'of the gateway it will be')
    .requiredOption(
      '--out <directory>',
      'where idevid.key, idevid.crt, chain.pem, voucher-anchor.pem and serial go',
    )
    .option('--request <file>', 'PKCS#10 in PEM by a key that stays where it is, in a TPM for instance')
    .action(async (name: string, options: LabOption & { out: string; request?: string }) => {
      const { makeLabIdentity } = await import('./labRead.ts');
      await makeLabIdentity(options.lab, name, options.out, options.request);
    });
  word('events', 'what starts, stops and fails in all nodes, as it happens')
    .option('--json', 'one object a line')
    .action(async (options: LabOption & { json?: boolean }) => {
      const { printEvents } = await import('./labRead.ts');
      await printEvents(options.lab, options.json === true);
    });
  word('restart', 'a node as after a power cut: its disk stays')
    .argument('<node>')
    .option('--rebuild', 'bundle the checkout again first')
    .option('--factory', 'a gateway as the factory left it: all it learnt and made is gone')
    .option('--without-tpm', 'a virtual machine that has none, until its next start')
    .action(async (node: string, options: LabOption & RestartFlags) => {
      const { labRestart } = await import('./labUp.ts');
      await labRestart(options.lab, node, {
        rebuild: options.rebuild === true,
        factory: options.factory === true,
        withoutTpm: options.withoutTpm === true,
      });
    });
  word('exec', 'run a command in a node; its exit code is passed on')
    .usage('NODE -- CMD...')
    .argument('<node>')
    .argument('<command...>')
    .passThroughOptions()
    .action(async (node: string, command: string[], options: LabOption) => {
      const { execInNode } = await import('./labExec.ts');
      // commander hands on the `--` that ends our own words, and what of them stands behind NODE.
      const end = command.indexOf('--');
      const late = /^--lab(?:=(.*))?$/.exec(command[0] ?? '');
      const named = late === null ? undefined : (late[1] ?? (end === 2 ? command[1] : undefined));
      if (late !== null && (named === undefined || end === -1)) {
        throw new BranchboxError('cli/usage', {
          message: 'what stands before -- is not understood',
          mend: 'branchbox lab exec --lab NAME NODE -- CMD',
        });
      }
      await execInNode(
        named ?? options.lab,
        node,
        named !== undefined || end === 0 ? command.slice(end + 1) : command,
      );
    });
  word('shell', 'a shell in a node')
    .argument('<node>')
    .action(async (node: string, options: LabOption) => {
      const { shellInNode } = await import('./labExec.ts');
      await shellInNode(options.lab, node);
    });
  word('cut', 'make an uplink dark at its provider; the carrier stays')
    .argument('<node>')
    .argument('<uplink>')
    .option('--carrier', 'take the carrier away instead: the port at the provider goes down')
    .option('--loss <percent>', 'lose this share of the packets each way instead', percent)
    .option('--direction <way>', 'in (towards the node) or out only', direction)
    .action(async (node: string, uplink: string, options: LabOption & CutOptions) => {
      const { labCut } = await import('./labFaults.ts');
      await labCut(options.lab, node, uplink, options);
    });
  word('heal', 'undo every cut of an uplink')
    .argument('<node>')
    .argument('<uplink>')
    .action(async (node: string, uplink: string, options: LabOption) => {
      const { labHeal } = await import('./labFaults.ts');
      await labHeal(options.lab, node, uplink);
    });
}

interface RestartFlags {
  readonly rebuild?: boolean;
  readonly factory?: boolean;
  readonly withoutTpm?: boolean;
}

export interface CutOptions {
  readonly carrier?: boolean;
  readonly loss?: number;
  readonly direction?: 'in' | 'out';
}

function percent(text: string): number {
  const value = Number(text);
  // Finer than what nft counts in would be rounded: to nothing lost at all, or to everything.
  if (!/^\d+(\.\d{1,2})?$/.test(text) || value <= 0 || value > 100) {
    throw new BranchboxError('cli/usage', {
      message: `--loss takes a percentage of 0.01 to 100, in hundredths at the finest, not "${text}"`,
    });
  }
  return value;
}

function direction(text: string): 'in' | 'out' {
  if (text === 'in' || text === 'out') return text;
  throw new BranchboxError('cli/usage', { message: `--direction takes in or out, not "${text}"` });
}
