/**
 * Owns the life of one service: inactive → activating → active → deactivating, failed, and restarts with
 * their delay. Does not own the order between units (manager.ts) nor what a unit file means (unitFile.ts).
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseCommand } from './commandLine.ts';
import {
  type CommandContext,
  describeExit,
  type ExitStatus,
  exitOf,
  launch,
  runInTurn,
  signalGroup,
  signalProcess,
  succeeded,
  variablesOf,
} from './commands.ts';
import type { ServiceSettings, Unit } from './unitFile.ts';

export type ActiveState = 'inactive' | 'activating' | 'active' | 'deactivating' | 'failed';

export interface ServiceStatus {
  readonly state: ActiveState;
  readonly mainPid: number | undefined;
  readonly restarts: number;
  /** Why it is failed or was restarted last. */
  readonly reason: string | undefined;
}

export interface Service {
  readonly unit: Unit;
  /** Resolves when it is active (or skipped by a condition); rejects with the reason where it is not. */
  start(): Promise<void>;
  stop(): Promise<void>;
  reload(): Promise<void>;
  status(): ServiceStatus;
}

export interface ServiceDeps {
  readonly logDirectory: string;
  readonly onState: (unit: string, status: ServiceStatus) => void;
}

export function createService(unit: Unit, settings: ServiceSettings, deps: ServiceDeps): Service {
  let state: ActiveState = 'inactive';
  let reason: string | undefined;
  let restarts = 0;
  let main: ChildProcess | undefined;
  let wanted = false;
  let retry: NodeJS.Timeout | undefined;
  let rising: Promise<void> | undefined;
  let halt = new AbortController();

  const status = (): ServiceStatus => ({ state, mainPid: main?.pid, restarts, reason });
  const become = (next: ActiveState, why?: string): void => {
    if (next === state && why === reason) return;
    state = next;
    reason = why;
    deps.onState(unit.name, status());
  };

  const withLog = async <T>(work: (context: CommandContext) => Promise<T>): Promise<T> => {
    mkdirSync(deps.logDirectory, { recursive: true });
    const logFd = openSync(join(deps.logDirectory, `${unit.name}.log`), 'a', 0o640);
    try {
      return await work({ unit: unit.name, settings, logFd });
    } finally {
      closeSync(logFd);
    }
  };
  const note = (text: string): Promise<void> =>
    withLog(async ({ logFd }) => {
      writeSync(logFd, `-- ${new Date().toISOString()} ${text}\n`);
    });

  /** One attempt; the reason why it did not come up, or undefined. */
  const attempt = (): Promise<string | undefined> =>
    withLog(async (logged) => {
      halt = new AbortController();
      const context = { ...logged, signal: halt.signal };
      for (const name of settings.runtimeDirectories) mkdirSync(join('/run', name), { recursive: true });
      for (const name of settings.stateDirectories) mkdirSync(join('/var/lib', name), { recursive: true });
      const before = await runInTurn(context, settings.startPre, undefined, settings.startTimeoutMs);
      if (before !== undefined) return before;
      if (!wanted) return 'stopped while starting';
      if (settings.type === 'oneshot') {
        const failure = await runInTurn(context, settings.start, undefined, settings.startTimeoutMs);
        if (failure !== undefined) return failure;
        return runInTurn(context, settings.startPost, undefined, settings.startTimeoutMs);
      }
      const variables = variablesOf(settings, undefined);
      const child = await launch(
        context,
        parseCommand(unit.name, settings.start[0] ?? '', variables),
        variables,
      );
      main = child;
      let ended: ExitStatus | undefined;
      void exitOf(child).then((exit) => {
        ended = exit;
        if (state === 'active') void afterExit(exit);
      });
      const after = await runInTurn(context, settings.startPost, child.pid, settings.startTimeoutMs);
      if (ended !== undefined) return `ended while starting: ${describeExit(ended)}`;
      if (after !== undefined) await endMain();
      return after;
    });

  /** One at a time: a start that is asked for while a restart is under way is that restart, as systemd merges jobs. */
  const bringUp = (): Promise<void> => {
    rising ??= rise().finally(() => {
      rising = undefined;
    });
    return rising;
  };

  const rise = async (): Promise<void> => {
    become('activating');
    let failure: string | undefined;
    try {
      failure = await attempt();
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    if (failure === undefined) {
      if (settings.type !== 'oneshot' || settings.remainAfterExit) become('active');
      else become('inactive');
      // It may have ended between the last command and this line.
      if (main !== undefined && (main.exitCode !== null || main.signalCode !== null))
        await afterExit(await exitOf(main));
      return;
    }
    main = undefined;
    await note(`did not start: ${failure}`);
    await afterStop();
    if (wanted && (settings.restart === 'always' || settings.restart === 'on-failure'))
      scheduleRestart(failure);
    else become(wanted ? 'failed' : 'inactive', failure);
    throw new Error(`${unit.name}: ${failure}`);
  };

  const afterExit = async (exit: ExitStatus): Promise<void> => {
    const pid = main?.pid;
    main = undefined;
    if (settings.killGroup) signalGroup(pid, 'SIGKILL');
    await note(`ended: ${describeExit(exit)}`);
    if (!wanted) return;
    await afterStop();
    const again =
      settings.restart === 'always' || settings.restart === (succeeded(exit) ? 'on-success' : 'on-failure');
    if (again) scheduleRestart(describeExit(exit));
    else become(succeeded(exit) ? 'inactive' : 'failed', describeExit(exit));
  };

  const scheduleRestart = (why: string): void => {
    become('activating', why);
    retry = setTimeout(
      () => {
        restarts += 1;
        bringUp().catch(() => undefined);
      },
      restartDelayMs(settings, restarts),
    );
  };

  const afterStop = async (): Promise<void> => {
    await withLog((context) => runInTurn(context, settings.stopPost, undefined, settings.stopTimeoutMs));
    if (settings.runtimePreserve) return;
    for (const name of settings.runtimeDirectories)
      rmSync(join('/run', name), { recursive: true, force: true });
  };

  const endMain = async (): Promise<void> => {
    const child = main;
    if (child === undefined) return;
    const signal = isSignal(settings.killSignal) ? settings.killSignal : 'SIGTERM';
    if (settings.killGroup) signalGroup(child.pid, signal);
    else signalProcess(child.pid, signal);
    const timer = Number.isFinite(settings.stopTimeoutMs)
      ? setTimeout(() => signalProcess(child.pid, 'SIGKILL'), settings.stopTimeoutMs)
      : undefined;
    await exitOf(child);
    clearTimeout(timer);
    if (settings.killGroup) signalGroup(child.pid, 'SIGKILL');
    main = undefined;
  };

  return {
    unit,
    status,
    async start() {
      if (state === 'active' && wanted) return;
      clearTimeout(retry);
      const unmet = unit.pathConditions.find(({ path, negate }) => existsSync(path) === negate);
      if (unmet !== undefined) {
        become('inactive', `condition not met: ${unmet.negate ? 'no ' : ''}${unmet.path}`);
        return;
      }
      wanted = true;
      if (rising === undefined) restarts = 0;
      await bringUp();
    },
    async stop() {
      wanted = false;
      clearTimeout(retry);
      if (state === 'inactive' || state === 'failed') return;
      become('deactivating');
      await withLog((context) => runInTurn(context, settings.stop, main?.pid, settings.stopTimeoutMs));
      await endMain();
      // A restart that was under way sees that it is not wanted any more.
      halt.abort();
      await rising?.catch(() => undefined);
      await endMain();
      await afterStop();
      become('inactive');
    },
    async reload() {
      const failure = await withLog((context) =>
        runInTurn(context, settings.reload, main?.pid, settings.startTimeoutMs),
      );
      if (failure !== undefined) throw new Error(`${unit.name}: reload: ${failure}`);
    },
  };
}

/** systemd's formula (RestartSteps=): from restartMs to restartMaxMs in equal ratios, then constant. */
export function restartDelayMs(
  settings: Pick<ServiceSettings, 'restartMs' | 'restartMaxMs' | 'restartSteps'>,
  restarts: number,
): number {
  const { restartMs, restartMaxMs, restartSteps } = settings;
  if (restartSteps < 1 || !Number.isFinite(restartMaxMs) || restartMs === 0) return restartMs;
  const step = Math.min(restarts, restartSteps);
  return Math.round(restartMs * (restartMaxMs / restartMs) ** (step / restartSteps));
}

const isSignal = (name: string): name is NodeJS.Signals => /^SIG[A-Z0-9]+$/.test(name);
