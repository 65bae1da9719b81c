/**
 * A TPM whose power goes without a word, again and again: what a box's key there is worth after it. swtpm, killed and
 * started over its state; OpenSSL's provider; no resource manager, since one program at a time asks.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureTree, TOOLS_TREE } from '../../image/trees.ts';
import { toolsCommand } from '../../src/lab/vm/tools.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { createProcesses, type Running } from './processes.ts';

/** swtpm's TPM locks after three tries. */
const POWER_LOSSES = 5;
const MAKER = join(import.meta.dirname, '../../firmware/tpm-make-key');
const runner = createRunner();
const processes = createProcesses();
let tree: string;
let directory: string;
let tpm: Running;
const at = (name: string): string => join(directory, name);
const inTree = (words: readonly string[]): readonly string[] =>
  toolsCommand(tree, [directory, join(MAKER, '..')], words);

async function powerOn(): Promise<void> {
  const sockets = [
    '--server',
    `type=unixio,path=${at('tpm')}`,
    '--ctrl',
    `type=unixio,path=${at('tpm.ctrl')}`,
  ];
  const state = ['--tpmstate', `dir=${at('state')}`, '--flags', 'not-need-init,startup-clear'];
  const [program = '', ...args] = inTree(['swtpm', 'socket', '--tpm2', ...state, ...sockets]);
  tpm = processes.start(program, args);
  while (!existsSync(at('tpm'))) await new Promise((resolve) => setTimeout(resolve, 10));
}
async function losePower(): Promise<void> {
  await tpm.end('SIGKILL');
  for (const socket of ['tpm', 'tpm.ctrl']) await rm(at(socket));
}
async function shell(script: string): Promise<{ exitCode: number; said: string }> {
  const words = ['env', `TPM2OPENSSL_TCTI=swtpm:path=${at('tpm')}`, 'sh', '-euc', `cd "$1"; ${script}`];
  const [program = '', ...args] = inTree([...words, 'sh', directory, MAKER]);
  const { exitCode, stdout, stderr } = await runner.run(program, args, { timeoutMs: 60_000 });
  return { exitCode, said: stdout + stderr };
}
const sign = (key: string): ReturnType<typeof shell> =>
  shell(
    `echo words | openssl dgst -provider tpm2 -provider default -sha256 -sign ${key} -out signature &&
     openssl pkey -provider tpm2 -provider default -in ${key} -pubout -out public.pem &&
     echo words | openssl dgst -sha256 -verify public.pem -signature signature`,
  );

beforeAll(async () => {
  tree = await ensureTree(TOOLS_TREE, { runner, say: () => {} });
  directory = await mkdtemp(join(tmpdir(), 'bbt-tpm-power-'));
  await mkdir(at('state'));
});
afterAll(async () => {
  await processes.end('SIGKILL');
  await rm(directory, { recursive: true });
});

it('a key that we make signs however often the power went; one that OpenSSL makes is locked out with its TPM', async () => {
  await powerOn();
  const genpkey =
    'openssl genpkey -provider tpm2 -propquery provider=tpm2 -algorithm EC -pkeyopt group:P-256';
  for (const make of ['"$2" >ours.key', `${genpkey} -out theirs.key`]) {
    expect(await shell(make)).toEqual({ exitCode: 0, said: '' });
    // What the first left in the TPM's few places is gone: there is no resource manager here.
    await losePower();
    await powerOn();
  }
  for (let cut = 0; cut < POWER_LOSSES; cut += 1) {
    expect((await sign('ours.key')).said).toContain('Verified OK');
    await sign('theirs.key');
    await losePower();
    await powerOn();
  }
  const locked = await sign('theirs.key');
  expect(locked.exitCode).not.toBe(0);
  expect(locked.said).toContain('lockout');
  expect(await sign('ours.key')).toEqual({ exitCode: 0, said: 'Verified OK\n' });
});
