/**
 * Owns how the main-job tests speak to their lab: by the command line a person uses, and nothing else.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export const LAB = process.env['BRANCHBOX_TEST_LAB'] ?? 'mainjob';
export const root = fileURLToPath(new URL('../../..', import.meta.url));
const NODE_IN_NODES = '/usr/lib/branchbox/node';

export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[]): ChildProcessByStdio<Writable, Readable, Readable> {
  return spawn('./branchbox', args, { cwd: root, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Runs `./branchbox …` to its end, with `input` on its standard input. */
export async function branchbox(args: readonly string[], input = ''): Promise<Ended> {
  const child = start(args);
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
  const endsAtMs = performance.now() + deadlineMs;
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
      throw new Error(`not within ${deadlineMs} ms: ${what}; last: ${String(last)}`);
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

/** A UDP stream between two nodes while `during` runs. */
export async function streamWhile(
  from: string,
  to: string,
  address: string,
  intervalMs: number,
  during: () => Promise<void>,
  port = 9000,
): Promise<StreamReport> {
  const program = readFileSync(new URL('../stream.mjs', import.meta.url), 'utf8');
  const run = (node: string, ...args: string[]) =>
    start([
      'lab',
      'exec',
      '--lab',
      LAB,
      node,
      '--',
      NODE_IN_NODES,
      '--input-type=module',
      '-e',
      program,
      '--',
      ...args,
    ]);
  const collect = (child: ReturnType<typeof start>) => {
    let text = '';
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ready = new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes('ready')) resolve();
      });
      child.on('close', () => reject(new Error(`the stream's end died: ${stderr}`)));
    });
    ready.catch(() => undefined);
    const done = new Promise<Record<string, number>>((resolve) => {
      child.on('close', () =>
        resolve(JSON.parse(text.trim().split('\n').at(-1) ?? '{}') as Record<string, number>),
      );
    });
    return { ready, done };
  };
  const receiver = run(to, 'recv', String(port));
  const received = collect(receiver);
  await received.ready;
  const sender = run(from, 'send', address, String(port), String(intervalMs));
  const sent = collect(sender);
  try {
    await during();
  } finally {
    sender.stdin.end();
    await sent.done;
    receiver.stdin.end();
  }
  const [s, r] = [await sent.done, await received.done];
  return {
    sent: s['sent'] ?? 0,
    received: r['received'] ?? 0,
    lost: r['lost'] ?? 0,
    duplicated: r['duplicated'] ?? 0,
    longestRun: r['longestRun'] ?? 0,
    longestSilenceMs: r['longestSilenceMs'] ?? 0,
  };
}

/** Lets a stream or a daemon run for a while: the passing of time itself is what is wanted. */
export function elapse(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
