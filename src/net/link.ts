/**
 * Owns links: bridges, VXLAN devices, VLANs on ports, WireGuard interfaces (the kernel's or wireguard-go's), physical ports, loopback.
 * Does not own what a WireGuard interface is told (wireguard.ts) nor addresses.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { ItemId } from '../model/ids.ts';
import type { Outcome } from '../reconcile/item.ts';
import type { System } from '../system/ports.ts';
import { ALREADY_GONE, runBatch, runUntilRefused } from './batch.ts';
import type { LinkItem } from './items.ts';
import {
  bridgesOfUnclearAddress,
  DRIFT_FOR_GOOD,
  isTun,
  type LinkReader,
  observedLinks,
} from './linkRead.ts';
import { renderAdd, renderDelete, renderFinish, renderModify } from './linkRender.ts';
import { done, eachAtOnce, eachInTurn, failed } from './outcome.ts';

const LINK_DIRECTORY = '/sys/class/net';
const SOCKET_DIRECTORY = '/run/wireguard';
/** wireguard-go took 40 ms on an idle machine; this is for one that is starting everything at once. */
const APPEAR_TIMEOUT_MS = 10_000;
/** Two directory listings a look, no process. */
const APPEAR_LOOK_MS = 20;
/** NET_ADDR_SET, linux/netdevice.h: somebody gave this address, it was neither made up nor taken from a port. */
const ADDRESS_SET = '3';
const IP = { command: 'ip' } as const;

export interface LinkDriverNeeds extends Pick<System, 'runner' | 'files' | 'clock' | 'services'> {
  readonly links: LinkReader;
}

export const wireguardUnit = (ifname: string): string => `wireguard-go@${ifname}.service`;
const WIREGUARD_UNITS = 'wireguard-go@*';
const isUserspace = ({ spec }: LinkItem): boolean =>
  spec.type === 'wireguard' && spec.implementation === 'userspace';

export function createLinkDriver(needs: LinkDriverNeeds): Driver<LinkItem> {
  const { runner, files } = needs;

  /** wireguard-go's links are ours by their unit: started again by the init system they have no alias yet. */
  const activeWireguards = async (): Promise<ReadonlySet<string>> => {
    const units = await needs.services.list(WIREGUARD_UNITS);
    return new Set(
      units
        .filter((unit) => unit.active)
        .map((unit) => unit.unit.replace(/^wireguard-go@(.*)\.service$/, '$1')),
    );
  };

  const batch = (
    items: readonly LinkItem[],
    render: (item: LinkItem) => readonly string[],
    signal: AbortSignal,
    fine?: RegExp,
  ): Promise<readonly Outcome[]> =>
    runBatch({ runner, tool: IP, items, render, signal, ...(fine === undefined ? {} : { fine }) });

  const presentLinks = async (): Promise<ReadonlySet<string>> => new Set(await files.list(LINK_DIRECTORY));

  const createAtOnce = async (
    items: readonly LinkItem[],
    signal: AbortSignal,
  ): Promise<readonly Outcome[]> => {
    if (items.length === 0) return [];
    const present = items.some(hasBridge) ? await presentLinks() : new Set<string>();
    const tried = await runUntilRefused({
      runner,
      tool: IP,
      items,
      render: (item) => [
        ...atMostOne(renderAdd(bridgePresent(item, present).spec)),
        ...renderFinish(item.spec),
      ],
      signal,
    });
    return [...tried.done.map(({ id }) => done(id)), ...(tried.refused === undefined ? [] : [tried.refused])];
  };

  return {
    async observe(signal, only) {
      const links = await (only === undefined
        ? needs.links.all(signal)
        : needs.links.some(new Set(only.map(({ spec }) => spec.name)), signal));
      const addressSet = new Set<string>();
      for (const name of bridgesOfUnclearAddress(links)) {
        const type = await files.readText(`${LINK_DIRECTORY}/${name}/addr_assign_type`);
        if (type?.trim() === ADDRESS_SET) addressSet.add(name);
      }
      const unclaimed = links.some((found) => found.ifalias === undefined && isTun(found));
      return observedLinks(links, addressSet, unclaimed ? await activeWireguards() : new Set());
    },

    async create(wanted, signal) {
      const outcomes = new Map<ItemId, Outcome>();
      const note = (some: readonly Outcome[]): void => {
        for (const outcome of some) outcomes.set(outcome.id, outcome);
      };
      // One process, where nothing is refused. What is left after a refusal goes the way below, in two: a link that
      // could not be made is somebody else's, and must not be finished as if it were ours.
      const atOnce = await createAtOnce(
        wanted.filter((item) => !isUserspace(item)),
        signal,
      );
      note(atOnce);
      const items = wanted.filter((item) => !outcomes.has(item.id));
      if (items.length === 0) return atOnce;
      const add = ({ spec }: LinkItem) => atMostOne(renderAdd(spec));
      note(
        await batch(
          items.filter((item) => !hasBridge(item)),
          add,
          signal,
        ),
      );
      // `ip` gives up a whole batch over a master that is not there, so that is looked at first.
      const withBridge = items.filter(hasBridge);
      const present = withBridge.length === 0 ? new Set<string>() : await presentLinks();
      note(await batch(withBridge, (item) => add(bridgePresent(item, present)), signal));

      const isMade = (item: LinkItem): boolean => outcomes.get(item.id)?.ok === true;
      const userspace = items.filter((item) => isUserspace(item) && isMade(item));
      note(await startWireguards(needs, userspace, activeWireguards, signal));
      note(await batch(items.filter(isMade), (item) => renderFinish(item.spec), signal));
      return wanted.map((item) => outcomes.get(item.id) ?? done(item.id));
    },

    async modify(changes, signal) {
      const items = changes.map((change) => change.to);
      const present = items.some(hasBridge) ? await presentLinks() : new Set<string>();
      const before = new Map(changes.map(({ from, to }) => [to.id, mtuOf(from)]));
      return await batch(
        items,
        (item) => renderModify(bridgePresent(item, present).spec, before.get(item.id) ?? mtuOf(item)),
        signal,
      );
    },

    async delete(items, signal) {
      const outcomes = await batch(items, (item) => renderDelete(item.spec), signal, ALREADY_GONE);
      const stopped = await eachInTurn(items.filter(isUserspace), (item) =>
        needs.services.stop([wireguardUnit(item.spec.name)]),
      );
      const byId = new Map([...outcomes, ...stopped].map((outcome) => [outcome.id, outcome]));
      return items.map((item) => byId.get(item.id) ?? done(item.id));
    },

    needsRecreate(from, to) {
      if (from.spec.drift?.some((drift) => DRIFT_FOR_GOOD.has(drift)) === true) return true;
      const a = from.spec;
      const b = to.spec;
      if (a.type !== b.type) return true;
      if (a.type === 'vxlan' && b.type === 'vxlan') {
        return a.vni !== b.vni || a.localAddress !== b.localAddress;
      }
      if (a.type === 'vlan' && b.type === 'vlan') return a.vlan !== b.vlan || a.parent !== b.parent;
      if (a.type === 'wireguard' && b.type === 'wireguard') return a.implementation !== b.implementation;
      // An address that was given cannot be taken back from a bridge.
      if (a.type === 'bridge' && b.type === 'bridge') {
        return a.macAddress !== undefined && b.macAddress === undefined;
      }
      return false;
    },
  };
}

const mtuOf = ({ spec }: LinkItem): number => ('mtu' in spec ? spec.mtu : Number.POSITIVE_INFINITY);
const bridgeOf = ({ spec }: LinkItem): string | undefined => ('bridge' in spec ? spec.bridge : undefined);
const hasBridge = (item: LinkItem): boolean => bridgeOf(item) !== undefined;

function bridgePresent(item: LinkItem, present: ReadonlySet<string>): LinkItem {
  const bridge = bridgeOf(item);
  if (bridge === undefined || present.has(bridge)) return item;
  throw new BranchboxError('net/kernel', { message: `${item.id}: its bridge ${bridge} is not there` });
}

const atMostOne = (line: string | undefined): readonly string[] => (line === undefined ? [] : [line]);

/** Starts what does not run, and waits until each has its device and its control socket. */
async function startWireguards(
  { files, clock, services }: LinkDriverNeeds,
  items: readonly LinkItem[],
  active: () => Promise<ReadonlySet<string>>,
  signal: AbortSignal,
): Promise<readonly Outcome[]> {
  if (items.length === 0) return [];
  const running = await active();
  const present = new Set(await files.list(LINK_DIRECTORY));
  // All at once: each is a call of the init system, and none waits for another's.
  const started = await eachAtOnce(items, async ({ id, spec: { name } }) => {
    if (present.has(name) && !running.has(name)) {
      throw new BranchboxError('net/kernel', {
        message: `${id}: there is a link ${name} already that is not ours, so it is left alone`,
        mend: 'Remove or rename what somebody else made there.',
      });
    }
    await services.start([wireguardUnit(name)]);
  });
  const deadlineMs = clock.monotonicMs() + APPEAR_TIMEOUT_MS;
  const outcomes: Outcome[] = [];
  for (const [index, outcome] of started.entries()) {
    const name = items[index]?.spec.name ?? '';
    if (!outcome.ok || (await appears(files, clock, name, deadlineMs, signal))) outcomes.push(outcome);
    else {
      const message = `${outcome.id}: ${wireguardUnit(name)} was started, but made no link within ${APPEAR_TIMEOUT_MS} ms`;
      outcomes.push(failed(outcome.id, new BranchboxError('net/kernel', { message })));
    }
  }
  return outcomes;
}

async function appears(
  files: System['files'],
  clock: System['clock'],
  name: string,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  for (;;) {
    const [links, sockets] = await Promise.all([files.list(LINK_DIRECTORY), files.list(SOCKET_DIRECTORY)]);
    if (links.includes(name) && sockets.includes(`${name}.sock`)) return true;
    if (clock.monotonicMs() >= deadlineMs) return false;
    await clock.sleep(APPEAR_LOOK_MS, signal);
  }
}
