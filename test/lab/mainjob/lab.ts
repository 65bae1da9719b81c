/**
 * Owns how the main-job tests speak to their lab: by the command line a person uses, and nothing else.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export const LAB = process.env['BRANCHBOX_TEST_LAB'] ?? 'mainjob';
export const root = fileURLToPath(new URL('../../..', import.meta.url));
/** Set where what is waited for runs in an emulated machine: each limit is so many times as long. */
const PATIENCE = Number(process.env['BRANCHBOX_TEST_PATIENCE'] ?? 1);
const NODE_IN_NODES = '/usr/lib/branchbox/node';

export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

function start(
  args: readonly string[],
  env: Environment = {},
): ChildProcessByStdio<Writable, Readable, Readable> {
  return spawn('./branchbox', args, {
    cwd: root,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
}

/** Runs `./branchbox …` to its end, with `input` on its standard input. */
export async function branchbox(args: readonly string[], input = '', env: Environment = {}): Promise<Ended> {
  const child = start(args, env);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const exitCode = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)));
  return { exitCode, stdout, stderr };
}

/** `./branchbox lab …` on this lab; an exit code other than 0 throws with what it said. */
export async function lab(...args: readonly string[]): Promise<string> {
  const [subcommand = '', ...rest] = args;
  const ended = await branchbox(['lab', subcommand, '--lab', LAB, ...rest]);
  if (ended.exitCode !== 0)
    throw new Error(`lab ${args.join(' ')} ended with ${ended.exitCode}: ${ended.stderr}${ended.stdout}`);
  return ended.stdout;
}

/** Runs a command in a node; any exit code is a result. */
export function tryIn(node: string, command: readonly string[], input = ''): Promise<Ended> {
  return branchbox(['lab', 'exec', '--lab', LAB, node, '--', ...command], input);
}

/** Runs a command in a node that must end well; its standard output. */
export async function inNode(node: string, ...command: readonly string[]): Promise<string> {
  const ended = await tryIn(node, command);
  if (ended.exitCode !== 0)
    throw new Error(
      `${node}: ${command.join(' ')} ended with ${ended.exitCode}: ${ended.stderr}${ended.stdout}`,
    );
  return ended.stdout;
}

/** JSON that a command in a node prints. The caller validates or picks. */
export async function jsonIn<T>(node: string, ...command: readonly string[]): Promise<T> {
  return JSON.parse(await inNode(node, ...command)) as T;
}

/** Awaits a condition that no event announces across process borders; its last answer is in the error. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  deadlineMs = 60_000,
): Promise<T> {
  const endsAtMs = performance.now() + deadlineMs * PATIENCE;
  let last: unknown = 'nothing yet';
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== undefined && answer !== false) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() > endsAtMs)
      throw new Error(`not within ${deadlineMs * PATIENCE} ms: ${what}; last: ${String(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Whether one host answers another's ping within the tries. */
export async function pings(from: string, address: string, tries = 3): Promise<boolean> {
  const ended = await tryIn(from, ['ping', '-n', '-c', String(tries), '-i', '0.2', '-W', '1', address]);
  return ended.exitCode === 0;
}

/** The pid of a unit's main process in a node, by the node's systemctl. */
export async function pidOf(node: string, unit: string): Promise<number> {
  const text = await inNode(node, 'systemctl', 'show', '-p', 'MainPID', '--value', unit);
  return Number(text.trim());
}

interface StreamReport {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Longest run of consecutive packets that never came. */
  readonly longestRun: number;
  readonly longestSilenceMs: number;
}

interface Program {
  /** Resolves when it said that it is ready, and rejects when it died before. */
  readonly ready: Promise<void>;
  /** Ends it by closing its standard input; what it reported last. */
  end(): Promise<unknown>;
}

/** A program of test/lab, run in a node by the node's own Node: says `ready`, and reports one JSON line at its end. */
function startProgram(node: string, file: string, ...args: readonly string[]): Program {
  const program = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
  const words = [NODE_IN_NODES, '--input-type=module', '-e', program, '--', ...args];
  const child = start(['lab', 'exec', '--lab', LAB, node, '--', ...words]);
  let text = '';
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('ready')) resolve();
    });
    child.on('close', () => reject(new Error(`${file} in ${node} died: ${stderr}`)));
  });
  ready.catch(() => undefined);
  const done = new Promise<unknown>((resolve) => {
    child.on('close', () => resolve(JSON.parse(text.trim().split('\n').at(-1) ?? '{}')));
  });
  return {
    ready,
    end() {
      child.stdin.end();
      return done;
    },
  };
}

/** A UDP stream between two nodes while `during` runs. */
export async function streamWhile(
  from: string,
  to: string,
  address: string,
  intervalMs: number,
  during: () => Promise<void>,
  port = 9000,
): Promise<StreamReport> {
  const receiver = startProgram(to, 'stream.mjs', 'recv', String(port));
  await receiver.ready;
  const sender = startProgram(from, 'stream.mjs', 'send', address, String(port), String(intervalMs));
  let sent: Partial<StreamReport> = {};
  let received: Partial<StreamReport> = {};
  try {
    await during();
  } finally {
    sent = (await sender.end()) as Partial<StreamReport>;
    received = (await receiver.end()) as Partial<StreamReport>;
  }
  return {
    sent: sent.sent ?? 0,
    received: received.received ?? 0,
    lost: received.lost ?? 0,
    duplicated: received.duplicated ?? 0,
    longestRun: received.longestRun ?? 0,
    longestSilenceMs: received.longestSilenceMs ?? 0,
  };
}

interface AskReport {
  readonly asked: number;
  /** What those that got no good answer said. */
  readonly failures: readonly string[];
}

/** Requests a URL from a node again and again, one at a time, while `during` runs. */
export async function askWhile(from: string, url: string, during: () => Promise<void>): Promise<AskReport> {
  const asker = startProgram(from, 'ask.mjs', url);
  await asker.ready;
  let report: AskReport = { asked: 0, failures: [] };
  try {
    await during();
  } finally {
    report = (await asker.end()) as AskReport;
  }
  return report;
}

/** Lets a stream or a daemon run for a while: the passing of time itself is what is wanted. */
export function elapse(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
