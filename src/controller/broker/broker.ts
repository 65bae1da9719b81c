/**
 * Owns the mosquitto process: its files, having it read them again, its restart when it dies, and its end.
 * Does not own what is in its configuration (mosquittoConfig.ts), any message (link.ts) nor any session (sessions.ts).
 */
import { join } from 'node:path';
import { asBranchboxError } from '../../model/errors.ts';
import type { Clock, Files, Logger, Runner } from '../../system/ports.ts';
import { createSerialQueue } from '../../system/serialQueue.ts';
import { createWaker, type Waker } from '../../system/waker.ts';
import { CLIENT_NAME, type ServiceCredential } from '../serviceCredentials.ts';
import { type BrokerPlace, renderAcl, renderBrokerConfig, REVOCATIONS_FILE } from './mosquittoConfig.ts';

export interface BrokerOptions {
  readonly runner: Runner;
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Logger;
  readonly program: string;
  readonly place: BrokerPlace;
}

/** What it reads beside its configuration. */
export interface BrokerInput {
  readonly credential: ServiceCredential;
  readonly revocationListPem: string;
  /** Whose certificates let in. */
  readonly domainAnchorPem: string;
}

export interface Broker {
  /** A new certificate of its own, from now on: sessions go on. */
  renew(credential: ServiceCredential): Promise<void>;
  /**
   * A new revocation list (PEM). When this resolves it is in force for whoever connects; sessions go on, those of
   * revoked boxes too (sessions.ts ends one).
   */
  revoke(revocationListPem: string): Promise<void>;
  /**
   * Other anchors. When this resolves no session stands that the ones before let in: it is started again, since at SIGHUP
   * it reads a file of anchors in addition to what it holds, and judges nobody anew.
   */
  trust(domainAnchorPem: string): Promise<void>;
  /** The last resort: every session ends, and every box has to show its certificate again. */
  restart(): Promise<void>;
  /** Ends the broker; resolves when it has ended. */
  stop(): Promise<void>;
}

const RESTART_PAUSE_MS = 500;
const RESTART_PAUSE_MAX_MS = 10_000;
/** One that ran for longer than this did not fail at its start. */
const HEALTHY_AFTER_MS = 30_000;
const END_MS = 5_000;
const END_POLL_MS = 50;
/** It looks for a signal between two messages. */
const RELOAD_MS = 5_000;

/** mosquitto's own words, at `log_type information`: from here on new connections are judged by what it reads now. */
const RELOADS = 'Reloading config.';
/** Twice a minute, at the same level. */
const ROUTINE = /^Saving in-memory database /;
/** After a list that it cannot read it goes on without any (tried with 2.0.21): everybody revoked would be let in. */
const RELOAD_FAILED = /^Error(: Unable to load certificate revocation file| when reloading certificate)/;

interface Running {
  /** Written before every start, so that a file that was spoilt is whole again. */
  input: BrokerInput;
  /** It said that it reads its files. */
  readonly reloaded: Waker;
  /** It is ended on purpose, to be started again at once. */
  restarting: boolean;
}

export async function startBroker(options: BrokerOptions, first: BrokerInput): Promise<Broker> {
  const { place, clock, log } = options;
  await endStale(options);
  await writeFiles(options, first);
  const ending = new AbortController();
  const state: Running = { input: first, reloaded: createWaker(clock), restarting: false };
  const running = supervise(options, state, ending.signal);

  async function restart(): Promise<void> {
    // One that is not running reads its files when it starts.
    if ((await runningPid(options)) === undefined || ending.signal.aborted) return;
    state.restarting = true;
    await endRunning(options);
  }

  async function reload(): Promise<void> {
    const pid = await runningPid(options);
    if (pid === undefined) return;
    // What it said before is not about this one.
    await state.reloaded.wait(0, ending.signal);
    if (!signalProcess(pid, 'SIGHUP')) return;
    if (await state.reloaded.wait(RELOAD_MS, ending.signal)) return;
    log.warn('the broker does not say that it reads its files: it is started again');
    await restart();
  }

  // One at a time: the word of one reload must not be taken for another's.
  const inTurn = createSerialQueue();
  const take = (next: Partial<BrokerInput>): Promise<void> =>
    inTurn(async () => {
      state.input = { ...state.input, ...next };
      await writeFiles(options, state.input);
      await reload();
    });

  return {
    renew: (credential) => take({ credential }),
    revoke: (revocationListPem) => take({ revocationListPem }),
    trust: (domainAnchorPem) =>
      inTurn(async () => {
        state.input = { ...state.input, domainAnchorPem };
        await writeFiles(options, state.input);
        await restart();
      }),
    restart: () => inTurn(restart),
    async stop() {
      ending.abort();
      await running;
      await options.files.remove(join(place.directory, 'mosquitto.pid'));
    },
  };
}

async function supervise(options: BrokerOptions, state: Running, signal: AbortSignal): Promise<void> {
  const { runner, clock, log, place } = options;
  let pauseMs = RESTART_PAUSE_MS;
  let failing = false;
  const onLine = (line: string): void => {
    if (!ROUTINE.test(line)) log.info('broker', { line });
    if (line === RELOADS) state.reloaded.wake();
    if (failing || !RELOAD_FAILED.test(line)) return;
    failing = true;
    log.error('the broker cannot read its files: it is ended');
    endRunning(options).catch((error: unknown) => log.error('it cannot be ended', { error }));
  };
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs();
    failing = false;
    try {
      const configuration = join(place.directory, 'mosquitto.conf');
      const end = await runner.follow(options.program, ['-c', configuration], onLine, signal);
      if (signal.aborted) return;
      if (!state.restarting) log.error('the broker ended', { exitCode: end.exitCode, stderr: end.stderr });
    } catch (thrown) {
      if (signal.aborted) return;
      log.error('the broker cannot be started', { error: asBranchboxError(thrown) });
    }
    if (state.restarting) {
      state.restarting = false;
    } else {
      if (clock.monotonicMs() - startedMs > HEALTHY_AFTER_MS) pauseMs = RESTART_PAUSE_MS;
      await clock.sleep(pauseMs, signal).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, RESTART_PAUSE_MAX_MS);
    }
    await writeFiles(options, state.input).catch((error: unknown) => {
      log.error("the broker's files cannot be written", { error: asBranchboxError(error) });
    });
  }
}

async function writeFiles(options: BrokerOptions, input: BrokerInput): Promise<void> {
  const { files, runner, place } = options;
  const path = (name: string) => join(place.directory, name);
  await files.writeDurable(path('mosquitto.conf'), renderBrokerConfig(place), 0o600);
  await files.writeDurable(path('acl'), renderAcl(CLIENT_NAME), 0o600);
  await files.writeDurable(path('domain.crt'), input.domainAnchorPem, 0o600);
  await files.writeDurable(path('server.key'), input.credential.key.reveal(), 0o600);
  await files.writeDurable(path('server.crt'), input.credential.certificatePem, 0o600);
  await files.writeDurable(path(REVOCATIONS_FILE), input.revocationListPem, 0o600);
  await runner.runChecked('mkdir', ['-p', '-m', '0700', path('data')]);
  // It drops root before it reads these again at SIGHUP.
  if (place.user !== undefined) {
    await runner.runChecked('chown', ['-R', `${place.user}:`, place.directory]);
  }
}

/** A controller that was killed leaves its broker behind, which would hold the port. */
async function endStale(options: BrokerOptions): Promise<void> {
  if ((await runningPid(options)) === undefined) return;
  options.log.warn('ending the broker of an earlier process');
  await endRunning(options);
}

async function endRunning(options: BrokerOptions): Promise<void> {
  const { clock } = options;
  const pid = await runningPid(options);
  if (pid === undefined) return;
  signalProcess(pid, 'SIGTERM');
  const untilMs = clock.monotonicMs() + END_MS;
  while ((await runningPid(options)) === pid) {
    if (clock.monotonicMs() > untilMs) {
      signalProcess(pid, 'SIGKILL');
      return;
    }
    await clock.sleep(END_POLL_MS);
  }
}

/** Not by kill(1): a machine need not have it (Debian's is in procps). false: it ended meanwhile. */
function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown;
    return false;
  }
}

/** Of our broker alone: the number may long be somebody else's. */
async function runningPid({ files, place }: BrokerOptions): Promise<number | undefined> {
  const text = await files.readText(join(place.directory, 'mosquitto.pid'));
  const pid = Number(text?.trim());
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const commandLine = await files.readText(`/proc/${pid}/cmdline`).catch(() => undefined);
  return commandLine?.includes(join(place.directory, 'mosquitto.conf')) === true ? pid : undefined;
}
