/**
 * Owns the debug shell of a machine: finding out that it listens, and starting guest-exec.pl in it after a boot.
 * A shell on a terminal echoes and prompts, so nothing else is ever run that way. Does not own sessions (guestExec.ts).
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { BranchboxError } from '../../model/errors.ts';
import type { Clock } from '../../system/ports.ts';
import { lockName, tryLock } from '../lock.ts';
import type { MachinePaths } from './machinePaths.ts';

/** The shell is there a few seconds after the root is; asked again, since what is typed before is lost. */
const ASK_EVERY_MS = 1_000;
const STEP_TIMEOUT_MS = 30_000;
/** The shell works these out, so that an echo of what was typed is not taken for an answer. */
const ASK = '\necho bb-$((40+1))\n';
const ANSWER = 'bb-41';
const READY_TO_TAKE = 'bb-42';
const RUNS = 'bb-43';
/** Begins with a look, since a second start beside a living one would take the ports from under it. */
const START = (bytes: number): string =>
  `if pgrep -f '^perl /run/lab-exec.pl' >/dev/null; then echo bb-$((40+3)); else stty -echo; echo bb-$((40+2)); ` +
  `timeout --foreground 20 head -c ${bytes} >/run/lab-exec.b64; stty echo; base64 -d /run/lab-exec.b64 | gunzip >/run/lab-exec.pl ` +
  '&& { perl /run/lab-exec.pl </dev/null >/run/lab-exec.log 2>&1 & }; echo bb-$((40+3)); fi\n';

/** Starts guest-exec.pl, once the machine has a shell; resolves false where somebody else is doing it. */
export async function startGuestExec(
  clock: Clock,
  paths: MachinePaths,
  options: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<boolean> {
  const lock = await tryLock(lockName(paths.consoleSocket));
  if (lock === undefined) return false;
  // In lines: a terminal hands on nothing before the end of a line, and no line longer than 4095 bytes.
  const code = gzipSync(readFileSync(join(import.meta.dirname, 'guest-exec.pl')))
    .toString('base64')
    .replace(/.{1,76}/g, '$&\n');
  const terminal = openTerminal(paths.consoleSocket);
  try {
    const asking = new AbortController();
    const asked = (async () => {
      while (!asking.signal.aborted) {
        terminal.type(ASK);
        await clock.sleep(ASK_EVERY_MS, asking.signal).catch(() => undefined);
      }
    })();
    try {
      await terminal.expect([ANSWER], options.deadlineMs - clock.monotonicMs(), options.signal);
    } finally {
      asking.abort();
      await asked;
    }
    // From here on to its end, whoever waits: a shell that is left in the middle takes the next words for code.
    terminal.type(START(code.length));
    if ((await terminal.expect([READY_TO_TAKE, RUNS], STEP_TIMEOUT_MS)) === READY_TO_TAKE) {
      terminal.type(code);
      await terminal.expect([RUNS], STEP_TIMEOUT_MS);
    }
    return true;
  } finally {
    terminal.end();
    await lock.release();
  }
}

interface Terminal {
  type(text: string): void;
  /** Resolves with the first of the texts that has been seen since the last expectation. */
  expect(texts: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<string>;
  end(): void;
}

function openTerminal(path: string): Terminal {
  const socket: Socket = connect(path);
  let seen = '';
  let look = (): void => undefined;
  let failure: Error | undefined;
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    seen = (seen + text).slice(-65_536);
    look();
  });
  socket.on('error', (error) => {
    failure = error;
    look();
  });
  socket.on('close', () => {
    failure ??= new Error('the machine was switched off');
    look();
  });
  return {
    type: (text) => void socket.write(text, 'latin1'),
    end: () => void socket.destroy(),
    expect: (texts, timeoutMs, signal) =>
      new Promise((resolve, reject) => {
        const fail = (why: string): void => {
          settle();
          reject(new BranchboxError('lab/not-ready', { message: `the debug shell ${why}` }));
        };
        const timer = setTimeout(() => fail(`did not answer: ${seen.slice(-200)}`), Math.max(0, timeoutMs));
        const onAbort = (): void => fail('was not waited for any longer');
        const settle = (): void => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          look = () => undefined;
        };
        look = () => {
          const text = texts.find((each) => seen.includes(each));
          if (text !== undefined) {
            seen = seen.slice(seen.indexOf(text) + text.length);
            settle();
            resolve(text);
          } else if (failure !== undefined) fail(`cannot be reached: ${failure.message}`);
        };
        if (signal?.aborted === true) return onAbort();
        signal?.addEventListener('abort', onAbort, { once: true });
        look();
      }),
  };
}
