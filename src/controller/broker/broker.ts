/**
 * Owns the mosquitto process: its files, its start, its restart when it dies, and its end.
 * Does not own what is in its configuration (mosquittoConfig.ts) nor any message (link.ts).
 */
import { join } from 'node:path';
import { asBranchboxError } from '../../model/errors.ts';
import type { Clock, Files, Logger, Runner } from '../../system/ports.ts';
import { CLIENT_NAME, type ServiceCredential } from '../serviceCredentials.ts';
import { type BrokerPlace, renderAcl, renderBrokerConfig } from './mosquittoConfig.ts';

export interface BrokerOptions {
  readonly runner: Runner;
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Logger;
  readonly program: string;
  readonly place: BrokerPlace;
  readonly domainAnchorPem: string;
}

export interface Broker {
  /** Writes new files and has the running broker read them (SIGHUP): sessions go on. */
  renew(credential: ServiceCredential): Promise<void>;
  /** Ends the broker; resolves when it has ended. */
  stop(): Promise<void>;
}

const RESTART_PAUSE_MS = 500;
const RESTART_PAUSE_MAX_MS = 10_000;
/** One that ran for longer than this did not fail at its start. */
const HEALTHY_AFTER_MS = 30_000;
const STALE_END_MS = 5_000;
const STALE_POLL_MS = 50;

export async function startBroker(options: BrokerOptions, credential: ServiceCredential): Promise<Broker> {
  const { place } = options;
  await endStale(options);
  await writeFiles(options, credential);
  const ending = new AbortController();
  const running = supervise(options, ending.signal);
  return {
    async renew(next) {
      await writeFiles(options, next);
      const pid = await runningPid(options);
      if (pid !== undefined) signalProcess(pid, 'SIGHUP');
    },
    async stop() {
      ending.abort();
      await running;
      await options.files.remove(join(place.directory, 'mosquitto.pid'));
    },
  };
}

async function supervise(options: BrokerOptions, signal: AbortSignal): Promise<void> {
  const { runner, clock, log, place } = options;
  let pauseMs = RESTART_PAUSE_MS;
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs();
    try {
      const end = await runner.follow(
        options.program,
        ['-c', join(place.directory, 'mosquitto.conf')],
        (line) => log.info('broker', { line }),
        signal,
      );
      if (signal.aborted) return;
      log.error('the broker ended', { exitCode: end.exitCode, stderr: end.stderr });
    } catch (thrown) {
      if (signal.aborted) return;
      log.error('the broker cannot be started', { error: asBranchboxError(thrown) });
    }
    if (clock.monotonicMs() - startedMs > HEALTHY_AFTER_MS) pauseMs = RESTART_PAUSE_MS;
    await clock.sleep(pauseMs, signal).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, RESTART_PAUSE_MAX_MS);
  }
}

async function writeFiles(options: BrokerOptions, credential: ServiceCredential): Promise<void> {
  const { files, runner, place } = options;
  const path = (name: string) => join(place.directory, name);
  await files.writeDurable(path('mosquitto.conf'), renderBrokerConfig(place), 0o600);
  await files.writeDurable(path('acl'), renderAcl(CLIENT_NAME), 0o600);
  await files.writeDurable(path('domain.crt'), options.domainAnchorPem, 0o600);
  await files.writeDurable(path('server.key'), credential.key.reveal(), 0o600);
  await files.writeDurable(path('server.crt'), credential.certificatePem, 0o600);
  await runner.runChecked('mkdir', ['-p', '-m', '0700', path('data')]);
  // It drops root before it reads these again at SIGHUP.
  if (place.user !== undefined) {
    await runner.runChecked('chown', ['-R', `${place.user}:`, place.directory]);
  }
}

/** A controller that was killed leaves its broker behind, which would hold the port. */
async function endStale(options: BrokerOptions): Promise<void> {
  const { clock, log } = options;
  const pid = await runningPid(options);
  if (pid === undefined) return;
  log.warn('ending the broker of an earlier process', { pid });
  signalProcess(pid, 'SIGTERM');
  const untilMs = clock.monotonicMs() + STALE_END_MS;
  while ((await runningPid(options)) !== undefined) {
    if (clock.monotonicMs() > untilMs) {
      signalProcess(pid, 'SIGKILL');
      return;
    }
    await clock.sleep(STALE_POLL_MS);
  }
}

/** Not by kill(1): a machine need not have it (Debian's is in procps). One that ended meanwhile needs no signal. */
function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown;
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
