/**
 * Owns the types through which the box is touched: commands, files, clock, services, log.
 * Holds no implementation: src/system/linux has the real ones, test/fakes the stateful fake box.
 */
import type { Secret } from '../model/secret.ts';

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Text for standard input. Keys and other secrets go this way or by file, never in argv. */
  readonly stdin?: string | Secret;
  /** Default 10 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Cap on stdout and stderr each; more is an error. Default 16 MiB. */
  readonly maxOutputBytes?: number;
}

/** Runs a program with no shell, LC_ALL=C, and a time cap. */
export interface Runner {
  /** Any exit code is a result; a missing program, time-out or abort is a BranchboxError. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<CommandResult>;
  /** As run, but an exit code other than 0 is `system/command-failed` with the command's last words. */
  runChecked(command: string, args: readonly string[], options?: RunOptions): Promise<string>;
  /** A long-lived reader (`ip monitor`): each line of stdout to `onLine` until the signal aborts. Resolves at its end. */
  follow(
    command: string,
    args: readonly string[],
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<CommandResult>;
}

export interface Files {
  /** undefined where there is no such file; throws `system/file` on anything else, or above maxBytes (default 1 MiB). */
  readText(path: string, maxBytes?: number): Promise<string | undefined>;
  readBytes(path: string, maxBytes?: number): Promise<Uint8Array | undefined>;
  /** Atomic and durable: temporary beside it, fsync, rename, fsync of the directory. Makes the directory. Mode default 0o600. */
  writeDurable(path: string, content: string | Uint8Array, mode?: number): Promise<void>;
  /** For /proc and /sys: one plain write. */
  writeKernel(path: string, content: string): Promise<void>;
  /** No error where it is not there. Durable (fsync of the directory). */
  remove(path: string): Promise<void>;
  /** Names in a directory, sorted; empty where there is none. */
  list(path: string): Promise<readonly string[]>;
  /** Calls back (coalesced) on any change in the directory until the signal aborts; makes the directory. */
  watch(directory: string, onChange: () => void, signal: AbortSignal): void;
}

/** For what must be made once, however many processes begin it. */
export interface FirstFiles extends Files {
  /** As writeDurable, where there is no such file; false where there is, and that stays as it is. */
  writeFirst(path: string, content: string | Uint8Array, mode?: number): Promise<boolean>;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970. Not to be trusted for validity before the clock floor (bootstrap/clockFloor). */
  nowMs(): number;
  /** Never goes back. */
  monotonicMs(): number;
  /** Resolves after the time, or rejects with the signal's reason. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
}

export interface ServiceState {
  readonly unit: string;
  readonly active: boolean;
  readonly mainPid: number | undefined;
  readonly restarts: number;
}

/** The init system: systemd on the box, the lab's supervisor in a node; both answer `systemctl`. */
export interface Services {
  /** Units named in full: `dhcpcd@wan1.service`. Starting a running unit changes nothing. */
  start(units: readonly string[]): Promise<void>;
  stop(units: readonly string[]): Promise<void>;
  restart(units: readonly string[]): Promise<void>;
  /** State of each unit that is loaded and matches one of the patterns, such as `dhcpcd@*`. */
  list(...patterns: readonly string[]): Promise<readonly ServiceState[]>;
}

export interface Logger {
  /** The message is constant; values go beside it. */
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
export type LogFields = Readonly<Record<string, unknown>>;

/** All a domain may be handed; a factory asks for the part it needs. */
export interface System {
  readonly runner: Runner;
  readonly files: Files;
  readonly clock: Clock;
  readonly services: Services;
  readonly log: Logger;
}
