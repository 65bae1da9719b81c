/**
 * Owns starting one command of a unit: environment, working directory, where its output goes, and its end.
 * Does not own when or whether (service.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { parseCommand, parseEnvironment, type UnitCommand, type Variables } from './commandLine.ts';
import type { ServiceSettings } from './unitFile.ts';

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface CommandContext {
  readonly unit: string;
  readonly settings: ServiceSettings;
  /** An open file to which stdout and stderr go: a chatty daemon costs the supervisor nothing. */
  readonly logFd: number;
  /** Ends what runs in turn. */
  readonly signal?: AbortSignal;
}

export interface ExitStatus {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

export const succeeded = (status: ExitStatus): boolean => status.code === 0;

export function variablesOf(settings: ServiceSettings, mainPid: number | undefined): Variables {
  const variables: Record<string, string> = { PATH: DEFAULT_PATH, LANG: 'C.UTF-8', HOME: '/root' };
  for (const line of settings.environment) Object.assign(variables, parseEnvironment(line));
  for (const file of settings.environmentFiles) {
    const path = file.replace(/^-/, '');
    if (existsSync(path)) Object.assign(variables, parseEnvironment(readFileSync(path, 'utf8')));
  }
  if (mainPid !== undefined) variables['MAINPID'] = String(mainPid);
  return variables;
}

/** Resolves once the program runs (exec succeeded), or throws the reason why it does not. */
export async function launch(
  context: CommandContext,
  command: UnitCommand,
  variables: Variables,
): Promise<ChildProcess> {
  const [program, ...args] = command.words;
  if (program === undefined) throw new Error(`${context.unit}: an empty command`);
  const child = spawn(program, args, {
    cwd: context.settings.workingDirectory ?? '/',
    env: { ...variables },
    // A session of its own, so that the whole group can be signalled.
    detached: true,
    stdio: ['ignore', context.logFd, context.logFd],
  });
  await once(child, 'spawn');
  return child;
}

export function exitOf(child: ChildProcess): Promise<ExitStatus> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve({ code: child.exitCode ?? undefined, signal: child.signalCode ?? undefined });
  }
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
  });
}

/** Runs commands one after the other; the first that fails (and may not) ends it with a sentence. */
export async function runInTurn(
  context: CommandContext,
  lines: readonly string[],
  mainPid: number | undefined,
  timeoutMs: number,
): Promise<string | undefined> {
  for (const line of lines) {
    const variables = variablesOf(context.settings, mainPid);
    const command = parseCommand(context.unit, line, variables);
    const failure = await runOne(context, command, variables, timeoutMs);
    if (failure !== undefined && !command.mayFail) return failure;
  }
  return undefined;
}

async function runOne(
  context: CommandContext,
  command: UnitCommand,
  variables: Variables,
  timeoutMs: number,
): Promise<string | undefined> {
  const words = command.words.join(' ');
  let child: ChildProcess;
  try {
    child = await launch(context, command, variables);
  } catch (error) {
    return `${words}: ${error instanceof Error ? error.message : String(error)}`;
  }
  const started = child;
  const end = (): void => signalGroup(started.pid, 'SIGKILL');
  const timer = Number.isFinite(timeoutMs) ? setTimeout(end, timeoutMs) : undefined;
  context.signal?.addEventListener('abort', end);
  if (context.signal?.aborted === true) end();
  const status = await exitOf(child);
  clearTimeout(timer);
  context.signal?.removeEventListener('abort', end);
  return succeeded(status) ? undefined : `${words}: ${describeExit(status)}`;
}

export function describeExit(status: ExitStatus): string {
  return status.signal === undefined ? `exit code ${status.code ?? '?'}` : `killed by ${status.signal}`;
}

/** A process group that is gone already is what was wanted. */
export function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: nobody left.
  }
}

export function signalProcess(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it ended by itself.
  }
}
