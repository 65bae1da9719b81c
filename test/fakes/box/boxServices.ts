/**
 * Owns units of the fake box. wireguard-go's make and take their link; all others only run.
 */
import type { ServiceState, Services } from '../../../src/system/ports.ts';
import type { FakeFiles } from './boxFiles.ts';
import type { FakeKernel } from './kernel.ts';

export interface FakeServices extends Services {
  /** Ends a unit's process: its link goes. `restarted`: the init system has it up again at once. */
  kill(unit: string, then?: 'restarted' | 'failed'): void;
  /** Units that run. */
  active(): readonly string[];
  /** Units that will not come up: started, and nothing appears. */
  readonly broken: Set<string>;
}

export function createFakeServices(kernel: FakeKernel, files: FakeFiles): FakeServices {
  const units = new Map<string, { -readonly [K in keyof ServiceState]: ServiceState[K] }>();
  const broken = new Set<string>();
  let pid = 100;
  const wireguardOf = (unit: string): string | undefined => /^wireguard-go@(.+)\.service$/.exec(unit)?.[1];
  const up = (unit: string): void => {
    pid += 1;
    const restarts = units.get(unit)?.restarts ?? 0;
    units.set(unit, { unit, active: true, mainPid: pid, restarts });
    const link = wireguardOf(unit);
    if (link === undefined || broken.has(unit)) return;
    kernel.addLink({ name: link, kind: 'tun', mtu: 1420 });
    files.contents.set(`/run/wireguard/${link}.sock`, '');
  };
  const down = (unit: string): void => {
    const link = wireguardOf(unit);
    if (link === undefined) return;
    if (kernel.links.has(link)) kernel.removeLink(link);
    files.contents.delete(`/run/wireguard/${link}.sock`);
  };
  const each = (names: readonly string[], effect: (unit: string) => void): Promise<void> => {
    for (const unit of names) effect(unit);
    return Promise.resolve();
  };
  const stop = (unit: string): void => {
    if (units.get(unit)?.active === true) down(unit);
    units.delete(unit);
  };
  return {
    broken,
    active: () => [...units.values()].filter((unit) => unit.active).map((unit) => unit.unit),
    start: (names) => each(names, (unit) => (units.get(unit)?.active === true ? undefined : up(unit))),
    stop: (names) => each(names, stop),
    restart: (names) =>
      each(names, (unit) => {
        stop(unit);
        up(unit);
      }),
    list(...patterns) {
      const matcher = new RegExp(patterns.map((pattern) => `^${pattern.replaceAll('*', '.*')}$`).join('|'));
      return Promise.resolve([...units.values()].filter(({ unit }) => matcher.test(unit)));
    },
    kill(unit, then = 'restarted') {
      const state = units.get(unit);
      if (state?.active !== true) throw new Error(`${unit} does not run`);
      down(unit);
      state.active = false;
      state.restarts += 1;
      if (then === 'restarted') up(unit);
    },
  };
}
