/**
 * Owns running programs of the box: no shell, LC_ALL=C, a time cap and an output cap on each.
 * Does not own what is run; whoever gets a Runner decides.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { BranchboxError } from '../../model/errors.ts';
import { Secret } from '../../model/secret.ts';
import type { CommandResult, Runner, RunOptions } from '../ports.ts';

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
/** A follower's complaints are kept for its result; a day-long one must not fill memory with them. */
const FOLLOW_STDERR_CHARACTERS = 16 * 1024;
/**
 * From SIGKILL on. A child that waits for a disk which does not answer is not let go by the kernel, and one that left a
 * child of its own behind keeps its output open: neither may hold up whoever called.
 */
const GONE_MS = 2000;
/** How much of a failing command's output a person is shown. */
const LAST_WORDS_CHARACTERS = 600;

export interface RunnerOptions {
  /** Told of every child process: the agent counts its own cost. */
  readonly onSpawn?: (command: string) => void;
}

export function createRunner(options: RunnerOptions = {}): Runner {
  const start = (command: string, args: readonly string[], pipeStdin: boolean): ChildProcess => {
    options.onSpawn?.(command);
    return spawn(command, [...args], {
      stdio: [pipeStdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    });
  };

  const run: Runner['run'] = (command, args, runOptions = {}) =>
    new Promise((resolve, reject) => {
      if (runOptions.signal?.aborted === true) {
        reject(stopped(command, runOptions.signal.reason));
        return;
      }
      const child = start(command, args, runOptions.stdin !== undefined);
      collect(command, child, runOptions).then(resolve, reject);
    });

  return {
    run,
    async runChecked(command, args, runOptions) {
      const result = await run(command, args, runOptions);
      if (result.exitCode === 0) return result.stdout;
      throw failed(command, args, result);
    },
    follow: (command, args, onLine, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(stopped(command, signal.reason));
          return;
        }
        const child = start(command, args, false);
        let stderr = '';
        child.stderr?.setEncoding('utf8');
        child.stderr?.on('data', (text: string) => {
          stderr = (stderr + text).slice(-FOLLOW_STDERR_CHARACTERS);
        });
        if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', onLine);
        const onAbort = (): void => void child.kill('SIGTERM');
        signal.addEventListener('abort', onAbort, { once: true });
        child.on('error', (cause) => {
          signal.removeEventListener('abort', onAbort);
          reject(notStarted(command, cause));
        });
        child.on('close', (code) => {
          signal.removeEventListener('abort', onAbort);
          resolve({ exitCode: code ?? 1, stdout: '', stderr });
        });
      }),
  };
}

/** Gathers the output of one child within its caps. */
function collect(command: string, child: ChildProcess, options: RunOptions): Promise<CommandResult> {
  const maxBytes = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
  return new Promise((resolve, reject) => {
    let problem: BranchboxError | undefined;
    let abandon: NodeJS.Timeout | undefined;
    /** The promise settles at `close`, so that no child outlives its call but one that cannot be ended. */
    const end = (error: BranchboxError): void => {
      problem ??= error;
      child.kill('SIGKILL');
      abandon ??= setTimeout(() => {
        settle();
        for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
        child.unref();
        reject(error);
      }, GONE_MS);
    };
    const output = { stdout: newSink(), stderr: newSink() };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.on('data', (chunk: Buffer) => {
        output[name].chunks.push(chunk);
        output[name].sizeBytes += chunk.length;
        if (output[name].sizeBytes > maxBytes) {
          end(
            new BranchboxError('system/command-failed', {
              message: `${command} wrote more than ${maxBytes} bytes to ${name}`,
            }),
          );
        }
      });
    }
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const timer = setTimeout(
      () =>
        end(
          new BranchboxError('system/command-timeout', {
            message: `${command} did not end within ${timeoutMs} ms`,
          }),
        ),
      timeoutMs,
    );
    const onAbort = (): void => end(stopped(command, options.signal?.reason));
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      clearTimeout(abandon);
      options.signal?.removeEventListener('abort', onAbort);
    };
    child.on('error', (cause) => {
      settle();
      reject(notStarted(command, cause));
    });
    child.on('close', (code) => {
      settle();
      if (problem !== undefined) reject(problem);
      else resolve({ exitCode: code ?? 1, stdout: text(output.stdout), stderr: text(output.stderr) });
    });
    if (options.stdin !== undefined) {
      // A program that ends without reading its input is judged by its exit code, not by our EPIPE.
      child.stdin?.on('error', () => {});
      child.stdin?.end(options.stdin instanceof Secret ? options.stdin.reveal() : options.stdin);
    }
  });
}

interface Sink {
  readonly chunks: Buffer[];
  sizeBytes: number;
}
const newSink = (): Sink => ({ chunks: [], sizeBytes: 0 });
const text = (sink: Sink): string => Buffer.concat(sink.chunks).toString('utf8');

function stopped(command: string, cause: unknown): BranchboxError {
  return new BranchboxError('system/command-failed', {
    message: `${command} was stopped before its end`,
    cause,
  });
}

function notStarted(command: string, cause: NodeJS.ErrnoException): BranchboxError {
  if (cause.code === 'ENOENT') {
    return new BranchboxError('system/missing-tool', { message: `${command} is not installed`, cause });
  }
  return new BranchboxError('system/command-failed', {
    message: `${command} cannot be started: ${cause.message}`,
    cause,
  });
}

function failed(command: string, args: readonly string[], result: CommandResult): BranchboxError {
  const words = (result.stderr.trim() || result.stdout.trim()).slice(-LAST_WORDS_CHARACTERS);
  return new BranchboxError('system/command-failed', {
    message: `${[command, ...args].join(' ').slice(0, 200)} ended with ${result.exitCode}: ${words}`,
    fields: { exitCode: result.exitCode },
  });
}
