/**
 * Owns the fake box: a whole `System` whose commands, files and units act on one state, as a kernel and an init system
 * would. It rejects every command it has not learned. Tests look at the box (printBox), not at the calls.
 */
import type { CommandResult, Clock, LogFields, Runner, RunOptions, System } from '../../src/system/ports.ts';
import { BranchboxError } from '../../src/model/errors.ts';
import { Secret } from '../../src/model/secret.ts';
import { createFakeFiles, type FakeFiles } from './box/boxFiles.ts';
import { createFakeServices, type FakeServices } from './box/boxServices.ts';
import { runBridge, runIp } from './box/ipCommand.ts';
import { createFakeKernel, type FakeKernel } from './box/kernel.ts';
import { type FakeNft, runNft } from './box/nftCommand.ts';
import { type FakeWireGuards, runWg } from './box/wgCommand.ts';
import { UnknownCommand } from './box/words.ts';

export interface FakeBoxOptions {
  /** Physical ports; `wan1 wan2 lan1 lan2` unless told. */
  readonly ports?: readonly string[];
  /** Kinds of link the kernel makes; without `wireguard` unless told, as in a lab. */
  readonly linkKinds?: readonly string[];
}

export type CommandHandler = (
  args: readonly string[],
  stdin: string,
) => CommandResult | Promise<CommandResult>;

export interface FakeBox {
  readonly system: System;
  readonly kernel: FakeKernel;
  readonly files: FakeFiles;
  readonly services: FakeServices;
  readonly nft: FakeNft;
  readonly wireguards: FakeWireGuards;
  readonly clock: Clock & { advance(durationMs: number): void };
  /** Processes started so far, as `command args…`. For cost, not for behaviour. */
  readonly started: string[];
  readonly logged: { readonly level: string; readonly message: string; readonly fields: LogFields }[];
  /** Commands it refused to know: a test that ends with any is wrong, whoever swallowed the error. */
  readonly unknown: string[];
  /** Teaches it one more program (`vtysh`). */
  command(name: string, handler: CommandHandler): void;
  /** Called before each command; throwing there is the process being killed at that point. */
  before: ((command: string, args: readonly string[]) => void) | undefined;
}

export function createFakeBox(options: FakeBoxOptions = {}): FakeBox {
  const kernel = createFakeKernel(['loopback', 'tun', ...(options.linkKinds ?? ['bridge', 'vxlan', 'veth'])]);
  kernel.addLink({ name: 'lo', kind: 'loopback', mtu: 65_536, up: true, mac: '00:00:00:00:00:00' });
  for (const port of options.ports ?? ['wan1', 'wan2', 'lan1', 'lan2'])
    kernel.addLink({ name: port, kind: 'veth' });
  const files = createFakeFiles(kernel);
  const services = createFakeServices(kernel, files);
  const nft: FakeNft = new Map();
  const wireguards: FakeWireGuards = new Map();
  const started: string[] = [];
  const unknown: string[] = [];
  const logged: FakeBox['logged'] = [];
  const handlers = new Map<string, CommandHandler>([
    ['ip', (args, stdin) => runIp(kernel, args, stdin)],
    ['bridge', (args, stdin) => runBridge(kernel, args, stdin)],
    ['nft', (args, stdin) => runNft(nft, args, stdin)],
    ['wg', (args) => runWg(kernel, wireguards, args, (path) => files.contents.get(path))],
  ]);

  const run = async (
    command: string,
    args: readonly string[],
    runOptions: RunOptions = {},
  ): Promise<CommandResult> => {
    runOptions.signal?.throwIfAborted();
    box.before?.(command, args);
    started.push([command, ...args].join(' '));
    const handler = handlers.get(command);
    const { stdin } = runOptions;
    try {
      if (handler === undefined) throw new UnknownCommand(`the fake box does not know ${command}`);
      return await handler(args, stdin instanceof Secret ? stdin.reveal() : (stdin ?? ''));
    } catch (thrown) {
      if (thrown instanceof UnknownCommand) unknown.push(thrown.message);
      throw thrown;
    }
  };
  const runner: Runner = {
    run,
    async runChecked(command, args, runOptions) {
      const result = await run(command, args, runOptions);
      if (result.exitCode === 0) return result.stdout;
      throw new BranchboxError('system/command-failed', { message: `${command}: ${result.stderr}` });
    },
    follow: (_command, _args, _onLine, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ exitCode: 0, stdout: '', stderr: '' }));
      }),
  };

  let nowMs = 0;
  const clock: FakeBox['clock'] = {
    nowMs: () => 1_800_000_000_000 + nowMs,
    monotonicMs: () => nowMs,
    // Nobody waits in a fake: sleeping is the time passing.
    sleep(durationMs, signal) {
      signal?.throwIfAborted();
      nowMs += durationMs;
      return Promise.resolve();
    },
    advance: (durationMs) => void (nowMs += durationMs),
  };
  const log =
    (level: string) =>
    (message: string, fields: LogFields = {}): void =>
      void logged.push({ level, message, fields });

  const box: FakeBox = {
    system: {
      runner,
      files,
      clock,
      services,
      log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    },
    kernel,
    files,
    services,
    nft,
    wireguards,
    clock,
    started,
    logged,
    unknown,
    command: (name, handler) => void handlers.set(name, handler),
    before: undefined,
  };
  return box;
}
