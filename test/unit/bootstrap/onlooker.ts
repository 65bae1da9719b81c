/**
 * Owns looking at a box of bootstrap's tests as somebody does who stands before it: when the moment has come that a test
 * waits for, the box is held at its next step outwards (a change of a file, a wait, a connection), is asked over its own
 * socket what it tells, and is stopped. Does not own the box (box.ts) nor the words (cli/bootstrap.ts).
 */
import { setImmediate } from 'node:timers/promises';
import type { Connect } from '../../../src/bootstrap/https.ts';
import type { BootstrapPaths } from '../../../src/bootstrap/paths.ts';
import { BootstrapStatus } from '../../../src/model/bootstrap.ts';
import { decodeJson } from '../../../src/model/decode.ts';
import { askSocket, type SocketAnswer } from '../../../src/system/askSocket.ts';
import type { Clock, Files } from '../../../src/system/ports.ts';

export interface Onlooker {
  /** The moment has come: asks once, and lets the box go on. */
  look(): void;
  /** As `look`, where that was not done yet; then ends the box. */
  lookAndEnd(): void;
  /** What was answered; undefined where the box ended before. */
  told(): Promise<BootstrapStatus | undefined>;
  /** The box has ended. */
  over(): void;
  files(files: Files): Files;
  clock(clock: Clock): Clock;
  connect(connect: Connect): Connect;
}

export function createOnlooker(paths: BootstrapPaths, ending: AbortController): Onlooker {
  let asking: Promise<BootstrapStatus | undefined> | undefined;
  let isListening = false;
  let isEnding = false;
  let isOver = false;

  async function ask(): Promise<BootstrapStatus | undefined> {
    for (;;) {
      if (isOver) return undefined;
      const answer = await askBox(paths.socket);
      if (answer?.status === 200) return decodeJson(BootstrapStatus, answer.text, 'What the box tells');
      if (answer !== undefined) return undefined;
      // It does not listen yet.
      await setImmediate();
    }
  }
  /** Its sockets come last in a start: what comes before them must go on for there to be an answer. */
  async function still(): Promise<void> {
    if (asking === undefined || !isListening) return;
    await asking;
    if (isEnding) ending.signal.throwIfAborted();
  }
  return {
    look() {
      asking ??= ask();
    },
    lookAndEnd() {
      if (isEnding) return;
      isEnding = true;
      asking ??= ask();
      void asking.finally(() => ending.abort());
    },
    told: async () => asking,
    over() {
      isOver = true;
    },
    files: (files) => ({
      ...files,
      async writeDurable(path, content, mode) {
        await still();
        await files.writeDurable(path, content, mode);
      },
      async remove(path) {
        if (path === paths.installerSocket) isListening = true;
        else await still();
        await files.remove(path);
      },
    }),
    clock: (clock) => ({
      ...clock,
      async sleep(durationMs, signal) {
        await still();
        await clock.sleep(durationMs, signal);
      },
    }),
    connect: (connect) => async (options) => {
      await still();
      return connect(options);
    },
  };
}

const askBox = (socketPath: string): Promise<SocketAnswer | undefined> =>
  askSocket({ socketPath }, { path: '/bootstrap', timeoutMs: 10_000, maxAnswerBytes: 1024 * 1024 }).catch(
    () => undefined,
  );
