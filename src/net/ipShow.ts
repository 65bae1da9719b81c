/**
 * Owns reading the kernel by `ip … show`: what several drivers ask for in one turn is one process, and each answer is
 * parsed once. Nothing is kept: an answer is forgotten as soon as it was handed out.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Runner } from '../system/ports.ts';
import { MAX_OUTPUT_BYTES, parseJson, TIMEOUT_MS } from './dump.ts';

/** Details for what kind a link is; numbers, since names for them may have been changed (`/etc/iproute2`). */
const OPTIONS = ['-j', '-d', '-N'] as const;

export interface IpShow {
  /** The answer to one line (`rule show`), as JSON that nobody has checked yet. */
  show(line: string, signal: AbortSignal): Promise<unknown>;
  /** Links by name, with their addresses; those that are not there are left out. */
  showLinks(names: readonly string[], signal: AbortSignal): Promise<readonly unknown[]>;
}

interface Asked {
  readonly answer: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

export function createIpShow(runner: Pick<Runner, 'run' | 'runChecked'>): IpShow {
  /** By signal: a caller that gives up must not take the others' answer away. */
  const turns = new Map<AbortSignal, Map<string, Asked>>();

  const answer = async (asked: ReadonlyMap<string, Asked>, signal: AbortSignal): Promise<void> => {
    const lines = [...asked.keys()];
    try {
      const text = await runner.runChecked('ip', [...OPTIONS, '-batch', '-'], {
        stdin: `${lines.join('\n')}\n`,
        signal,
        timeoutMs: TIMEOUT_MS,
        maxOutputBytes: MAX_OUTPUT_BYTES,
      });
      const answers = linesOf(text);
      if (answers.length !== lines.length) {
        const message = `ip gave ${answers.length} answers to ${lines.length} questions: ${lines.join('; ')}`;
        throw new BranchboxError('net/kernel', { message });
      }
      for (const [at, line] of lines.entries()) {
        asked.get(line)?.resolve(parseJson(answers[at] ?? '', `ip ${line}`));
      }
    } catch (thrown) {
      for (const { reject } of asked.values()) reject(thrown);
    }
  };

  return {
    show(line, signal) {
      let turn = turns.get(signal);
      if (turn === undefined) {
        const started = new Map<string, Asked>();
        turns.set(signal, started);
        turn = started;
        setImmediate(() => {
          turns.delete(signal);
          void answer(started, signal);
        });
      }
      const known = turn.get(line);
      if (known !== undefined) return known.answer;
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      turn.set(line, { answer: promise, resolve, reject });
      return promise;
    },

    async showLinks(names, signal) {
      // -force: one that is not there does not keep the others from being shown.
      const result = await runner.run('ip', [...OPTIONS, '-force', '-batch', '-'], {
        stdin: `${names.map((name) => `address show dev ${name}`).join('\n')}\n`,
        signal,
        timeoutMs: TIMEOUT_MS,
        maxOutputBytes: MAX_OUTPUT_BYTES,
      });
      const unclear = result.stderr
        .split('\n')
        .filter((line) => !/^$|^Command failed -:\d+$|^Device "[^"]*" does not exist\.$/.test(line));
      if (result.exitCode > 1 || unclear.length > 0) {
        throw new BranchboxError('net/kernel', { message: `ip address show: ${unclear.join('; ')}` });
      }
      return linesOf(result.stdout).flatMap((line) => parseJson(line, 'ip address show dev'));
    },
  };
}

/** Each answer is one line, also an empty one (`[]`). */
const linesOf = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');
