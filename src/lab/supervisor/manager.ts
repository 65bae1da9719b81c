/**
 * Owns the order between units: what a start pulls in, what waits for what, one job a unit at a time.
 * Does not own one service's life (service.ts) nor the words people type (systemctl.ts).
 */
import { createService, type Service, type ServiceDeps, type ServiceStatus } from './service.ts';
import type { Unit } from './unitFile.ts';
import type { UnitSet } from './unitSet.ts';

export interface LoadedUnit {
  readonly unit: Unit;
  readonly status: ServiceStatus;
}

export interface Manager {
  /** Starts the unit with what it wants and requires; resolves when it is up. A running one is left alone. */
  start(name: string): Promise<void>;
  stop(name: string): Promise<void>;
  restart(name: string): Promise<void>;
  reload(name: string): Promise<void>;
  /** Units that were touched so far, by name. A target is active when it was started. */
  list(): readonly LoadedUnit[];
  get(name: string): LoadedUnit | undefined;
  /** As get; a unit that nobody touched is read from its file, and stays untouched. */
  find(name: string): LoadedUnit | undefined;
  /** Forgets units that are not running, so that their files are read again. */
  reloadFiles(): void;
}

export interface ManagerDeps extends ServiceDeps {
  readonly units: UnitSet;
  readonly onProblem: (text: string) => void;
}

const IDLE: ServiceStatus = { state: 'inactive', mainPid: undefined, restarts: 0, reason: undefined };

export function createManager(deps: ManagerDeps): Manager {
  const services = new Map<string, Service>();
  const targets = new Map<string, { unit: Unit; active: boolean }>();
  const jobs = new Map<string, Promise<void>>();

  const load = (name: string): Unit => {
    const known = services.get(name)?.unit ?? targets.get(name)?.unit;
    if (known !== undefined) return known;
    const parsed = deps.units.load(name);
    if (parsed === undefined) throw new Error(`Unit ${name} not found.`);
    for (const problem of parsed.problems) deps.onProblem(`${problem.path}: ${problem.message}`);
    const { unit } = parsed;
    if (unit.service === undefined) targets.set(name, { unit, active: false });
    else services.set(name, createService(unit, unit.service, deps));
    return unit;
  };

  /** A job at a time for a unit: the next waits for the one before, whatever became of it. */
  const inTurn = (name: string, work: () => Promise<void>): Promise<void> => {
    const before = jobs.get(name) ?? Promise.resolve();
    const job = before.catch(() => undefined).then(work);
    const kept = job
      .catch(() => undefined)
      .then(() => {
        if (jobs.get(name) === kept) jobs.delete(name);
      });
    jobs.set(name, kept);
    return job;
  };

  const start = (name: string): Promise<void> => {
    const unit = load(name);
    // A target that is up is started again for what it wants and somebody stopped, as systemd does.
    if (services.get(name)?.status().state === 'active') return Promise.resolve();
    const pulled = unit.service === undefined ? [...unit.wants, ...deps.units.wantedBy(name)] : unit.wants;
    const needed = startAll(unit.requires);
    const wished = startAll(pulled);
    return inTurn(name, async () => {
      const failed = (await Promise.all(needed.values())).find((failure) => failure !== undefined);
      if (failed !== undefined) throw new Error(`${name}: a unit it requires is not up: ${failed}`);
      // After= orders only what is being started anyway.
      await Promise.all(unit.after.map((each) => wished.get(each) ?? jobs.get(each) ?? Promise.resolve()));
      const target = targets.get(name);
      if (target === undefined) return services.get(name)?.start();
      await Promise.all(wished.values());
      target.active = true;
      return undefined;
    });
  };

  /** Starts each; the values resolve to why one is not up. A unit that is not there is as one that failed. */
  const startAll = (names: readonly string[]): Map<string, Promise<string | undefined>> => {
    const started = new Map<string, Promise<string | undefined>>();
    for (const name of names) {
      const running = async (): Promise<string | undefined> => {
        try {
          await start(name);
          return undefined;
        } catch (error) {
          const text = error instanceof Error ? error.message : String(error);
          deps.onProblem(text);
          return text;
        }
      };
      started.set(name, running());
    }
    return started;
  };

  const stop = async (name: string): Promise<void> => {
    load(name);
    const dependants = [...services.values()].filter(({ unit }) =>
      [...unit.requires, ...unit.partOf].includes(name),
    );
    await Promise.all(dependants.map(({ unit }) => stop(unit.name)));
    await inTurn(name, async () => {
      const target = targets.get(name);
      if (target !== undefined) target.active = false;
      await services.get(name)?.stop();
    });
  };

  const restart = async (name: string): Promise<void> => {
    const followers = [...services.values()].filter(
      (service) => service.unit.partOf.includes(name) && service.status().state === 'active',
    );
    await stop(name);
    await start(name);
    await Promise.all(followers.map(({ unit }) => start(unit.name)));
  };

  const get = (name: string): LoadedUnit | undefined => {
    const service = services.get(name);
    if (service !== undefined) return { unit: service.unit, status: service.status() };
    const target = targets.get(name);
    return target && { unit: target.unit, status: { ...IDLE, state: target.active ? 'active' : 'inactive' } };
  };

  return {
    start,
    stop,
    restart,
    reload: async (name) => {
      load(name);
      await inTurn(name, async () => services.get(name)?.reload());
    },
    get,
    find: (name) => {
      const unit = deps.units.load(name)?.unit;
      return get(name) ?? (unit === undefined ? undefined : { unit, status: IDLE });
    },
    list: () =>
      [...services.keys(), ...targets.keys()].sort().flatMap((name) => {
        const loaded = get(name);
        return loaded === undefined ? [] : [loaded];
      }),
    reloadFiles: () => {
      for (const [name, service] of services) {
        if (['inactive', 'failed'].includes(service.status().state) && !jobs.has(name)) services.delete(name);
      }
    },
  };
}
