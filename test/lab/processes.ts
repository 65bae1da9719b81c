/**
 * Owns processes that a test of real parts starts: what they said so far, waiting for a line, and their end.
 * Does not own what is started.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Less than a test of the lab has: what is waited for in vain ends with the words of who should have said it. */
export const IN_VAIN_MS = 170_000;

export interface Running {
  readonly child: ChildProcess;
  /** All it has said so far, on either output. */
  readonly lines: readonly string[];
  /** Resolves with the first line (said already or to come) that fits; rejects when the process ends before, or never says it. */
  said(pattern: RegExp): Promise<string>;
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface Processes {
  start(command: string, args: readonly string[]): Running;
  /** Whatever still runs, in the order of its start. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export function createProcesses(): Processes {
  const running = new Set<Running>();
  return {
    start(command, args) {
      const started = startProcess(command, args);
      running.add(started);
      // Its own end, too: what is gone is not ended again.
      started.child.once('close', () => running.delete(started));
      return started;
    },
    async end(signal) {
      for (const one of running) await one.end(signal);
    },
  };
}

function startProcess(command: string, args: readonly string[]): Running {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let ended = false;
  const look = (): void => {
    for (const check of waiting) check();
  };
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      look();
    });
  }
  // Not `exit`: its last words may come after that.
  const closed = once(child, 'close').then(() => {
    ended = true;
    look();
  });
  return {
    child,
    lines,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        const words = (what: string): Error =>
          new Error(`${args.join(' ')} ${what} ${pattern}:\n${lines.join('\n')}`);
        const inVain = setTimeout(() => {
          waiting.delete(check);
          reject(words('does not say'));
        }, IN_VAIN_MS);
        const check = (): void => {
          const line = lines.find((candidate) => pattern.test(candidate));
          if (line === undefined && !ended) return;
          waiting.delete(check);
          clearTimeout(inVain);
          if (line !== undefined) resolve(line);
          else reject(words('ended without'));
        };
        waiting.add(check);
        check();
      }),
    async end(signal) {
      child.kill(signal);
      await closed;
    },
  };
}
