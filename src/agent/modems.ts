/**
 * Owns the life of the box's modems: looks whenever ModemManager or the wishes change, takes the next step of each, and
 * tells what came of it (leases, states). One step a modem at a time; they do not wait for each other.
 * Does not own which step that is (wan/modem), its words on the bus (modemManager.ts), nor the address (wan/uplinks).
 */
import { BranchboxError } from '../model/errors.ts';
import type { ModemStatus } from '../model/localStatus.ts';
import type { System } from '../system/ports.ts';
import { dialRefusalOf, type ModemPlan, pauseMs, planModem, seenOf, statusOfModem } from '../wan/modem.ts';
import type { ModemSeen, ModemTries, ModemWish } from '../wan/modemSeen.ts';
import { MODEM_LEASE, renderModemLease } from './modemLeases.ts';
import { type ModemManager, nameOf } from './modemManager.ts';
import type { ModemPins } from './modemPins.ts';
import { holdLeases } from './staticLeases.ts';

const UNIT = 'ModemManager.service';
/** It signals what changes; this is for a bus that came back, and for pauses between dials. */
const LOOK_MS = 15_000;
/** A connection that stood so long was one: what follows it begins with a short pause again. */
const STOOD_MS = 60_000;

export interface Modems {
  /** What is asked of them from now on. */
  hold(wishes: readonly ModemWish[]): void;
  statuses(): readonly ModemStatus[];
  /** Ports of modems that stand and whose address a DHCP client has to ask for. */
  byDhcp(): ReadonlySet<string>;
  run(signal: AbortSignal): Promise<void>;
}

interface Memory {
  dials: number;
  nextDialMs: number;
  lastRefusal: ModemTries['lastRefusal'];
  connectedSinceMs: number | undefined;
  isOwnDial: boolean;
  /** What it was dialled for: other words make a new start of it. */
  words: string;
  isBusy: boolean;
  /** As last seen. */
  path: string | undefined;
}

export function createModems(parts: {
  readonly system: Pick<System, 'files' | 'services' | 'clock' | 'log'>;
  readonly leases: string;
  readonly pins: ModemPins;
  readonly connect: (on: {
    readonly onChange: () => void;
    readonly onClose: () => void;
  }) => Promise<ModemManager>;
  /** Other modems than before ask by DHCP. */
  readonly onWays: () => void;
  /** What is said of one is another thing; its signal alone is none. */
  readonly onStates: () => void;
}): Modems {
  const { pins, system } = parts;
  const { clock, log, files } = system;
  const memories = new Map<string, Memory>();
  /** Those under way. */
  const steps = new Set<Promise<void>>();
  let wishes: readonly ModemWish[] = [];
  let manager: ModemManager | undefined;
  let statuses: readonly ModemStatus[] = [];
  let dhcp: ReadonlySet<string> = new Set();
  let wakeUp = (): void => undefined;
  let isWoken = false;
  const wake = (): void => {
    isWoken = true;
    wakeUp();
  };

  const reach = async (): Promise<ModemManager> => {
    if (manager !== undefined) return manager;
    // Starting what runs changes nothing.
    await system.services.start([UNIT]);
    const held: { own?: ModemManager } = {};
    const own = await parts.connect({
      onChange: wake,
      onClose: () => {
        // One that never came about is no event: the next look is after a pause.
        if (held.own === undefined || manager !== held.own) return;
        manager = undefined;
        wake();
      },
    });
    held.own = own;
    manager = own;
    return own;
  };
  const memoryOf = (wish: ModemWish): Memory => {
    const words = JSON.stringify([wish.apn, wish.user, wish.password?.reveal()]);
    const known = memories.get(wish.port);
    if (known?.words === words) return known;
    const fresh = {
      dials: 0,
      nextDialMs: 0,
      lastRefusal: undefined,
      connectedSinceMs: undefined,
      isOwnDial: false,
      isBusy: known?.isBusy ?? false,
      path: known?.path,
      words,
    };
    memories.set(wish.port, fresh);
    return fresh;
  };

  /** A step that fails is tried again after a pause: the plan after it tells why. */
  const take = async (
    to: ModemManager,
    { step }: ModemPlan,
    wish: ModemWish,
    seen: ModemSeen,
    memory: Memory,
  ): Promise<void> => {
    try {
      switch (step.kind) {
        case 'none':
          return;
        case 'send-pin':
          await sendPin(to, pins, seen, step);
          return;
        case 'enable':
          await to.enable(seen.path);
          return;
        case 'hang-up':
          await to.hangUp(seen.path, step.bearer);
          return;
        case 'reset':
          await to.reset(seen.path);
          return;
        case 'dial':
          await to.dial(seen.path, wish);
          memory.lastRefusal = undefined;
          memory.isOwnDial = true;
      }
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      const words = thrown.message;
      if (step.kind === 'dial') memory.lastRefusal = { reason: dialRefusalOf(nameOf(thrown), words), words };
      log.warn('a modem did not take a step', { port: wish.port, step: step.kind, error: thrown });
    } finally {
      if (step.kind === 'dial' || step.kind === 'reset') memory.dials += 1;
      memory.nextDialMs = clock.monotonicMs() + pauseMs(memory.dials);
    }
  };

  const look = async (wish: ModemWish, to: ModemManager, modems: readonly ModemSeen[]) => {
    const seen = seenOf(wish, modems);
    const memory = memoryOf(wish);
    const nowMs = clock.monotonicMs();
    memory.path = seen?.path;
    const pin = seen === undefined ? 'untried' : pins.standing(seen, wish.pin);
    const plan = planModem(wish, seen, { ...memory, pin }, nowMs);
    if (plan.bearer === undefined) memory.connectedSinceMs = undefined;
    else {
      memory.connectedSinceMs ??= nowMs;
      if (nowMs - memory.connectedSinceMs >= STOOD_MS) memory.dials = 0;
    }
    if (plan.step.kind !== 'none' && seen !== undefined && !memory.isBusy) {
      memory.isBusy = true;
      const step = take(to, plan, wish, seen, memory)
        .catch((error: unknown) => log.error('a step of a modem failed', { port: wish.port, error }))
        .finally(() => {
          // Of other words meanwhile there is another memory.
          steps.delete(step);
          for (const one of [memory, memories.get(wish.port)]) if (one !== undefined) one.isBusy = false;
          wake();
        });
      steps.add(step);
    }
    return { wish, plan, status: statusOfModem(wish, seen, plan) };
  };

  const tell = async (
    found: readonly { readonly wish: ModemWish; readonly plan: ModemPlan; readonly status: ModemStatus }[],
  ): Promise<void> => {
    const leases = new Map<string, string>();
    const asking = new Set<string>();
    for (const { wish, plan } of found) {
      if (plan.bearer === undefined || wish.ifname === undefined) continue;
      const lease = renderModemLease(wish.ifname, plan.bearer);
      if (lease === undefined) asking.add(wish.port);
      else leases.set(`${wish.ifname}.env`, lease);
    }
    await holdLeases(files, parts.leases, MODEM_LEASE, leases);
    const isOtherWay = [...asking].join() !== [...dhcp].join();
    dhcp = asking;
    say(found.map(({ status }) => status));
    if (isOtherWay) parts.onWays();
  };
  const say = (next: readonly ModemStatus[]): void => {
    const toldOf = (all: readonly ModemStatus[]) =>
      JSON.stringify(all.map(({ port, reason, sentence }) => [port, reason, sentence]));
    const isNew = toldOf(next) !== toldOf(statuses);
    statuses = next;
    if (isNew) parts.onStates();
  };

  /** What nobody wants any more costs its owner nothing any more. */
  const letGo = async (asked: readonly ModemWish[]): Promise<void> => {
    for (const [port, { path }] of memories) {
      if (asked.some((wish) => wish.port === port)) continue;
      memories.delete(port);
      if (path === undefined) continue;
      await manager
        ?.hangUp(path, '/')
        .catch((error: unknown) => log.warn('a modem was not let go', { port, error }));
    }
  };

  const lookAtAll = async (): Promise<void> => {
    const asked = wishes;
    await letGo(asked);
    if (asked.length === 0) {
      manager?.close();
      await tell([]);
      return;
    }
    try {
      const to = await reach();
      const modems = await to.modems();
      await tell(await Promise.all(asked.map((wish) => look(wish, to, modems))));
    } catch (thrown) {
      // What stood stands on without it: bearers are the modems' own.
      const sentence = `ModemManager does not answer (${thrown instanceof Error ? thrown.message : 'no reason'}): \`systemctl status ${UNIT}\`.`;
      log.warn('ModemManager cannot be asked', { error: thrown });
      // The next look starts it and connects anew: the bus may be there without it.
      const silent = manager;
      manager = undefined;
      silent?.close();
      say(asked.map(({ port }) => ({ port, reason: 'no-manager', sentence })));
    }
  };

  return {
    hold(next) {
      const isOther = keyOf(next) !== keyOf(wishes);
      wishes = next;
      if (isOther) wake();
    },
    statuses: () => statuses,
    byDhcp: () => dhcp,
    async run(signal) {
      while (!signal.aborted) {
        isWoken = false;
        await lookAtAll();
        if (isWoken || signal.aborted) continue;
        const pause = new AbortController();
        wakeUp = () => pause.abort();
        const ends = AbortSignal.any([signal, pause.signal]);
        // Without a modem that is wanted nothing runs.
        if (wishes.length > 0) await clock.sleep(nextLookMs(), ends).catch(() => undefined);
        else if (!ends.aborted)
          await new Promise((resolve) => ends.addEventListener('abort', resolve, { once: true }));
      }
      manager?.close();
      // Which PIN was given is written down before the end.
      await Promise.all(steps);
    },
  };

  function nextLookMs(): number {
    const nowMs = clock.monotonicMs();
    const dials = [...memories.values()].map(({ nextDialMs }) => nextDialMs - nowMs).filter((ms) => ms > 0);
    return Math.min(LOOK_MS, ...dials);
  }
}

const keyOf = (wishes: readonly ModemWish[]): string =>
  JSON.stringify(wishes.map((wish) => [wish, wish.password?.reveal(), wish.pin?.reveal()]));

/** Errors by which ModemManager says that it never gave the PIN to the SIM. */
const NOT_GIVEN =
  /(Unauthorized|WrongState|InProgress|Unsupported|AccessDenied|UnknownObject|UnknownMethod|ServiceUnknown)$/;

async function sendPin(
  to: ModemManager,
  pins: ModemPins,
  sim: ModemSeen,
  { simPath, pin }: Extract<ModemPlan['step'], { kind: 'send-pin' }>,
): Promise<void> {
  await pins.sending(sim, pin);
  try {
    await to.sendPin(simPath, pin);
  } catch (thrown) {
    const name = thrown instanceof BranchboxError ? nameOf(thrown) : '';
    if (NOT_GIVEN.test(name)) await pins.forget(sim, pin);
    else if (name === 'timeout') await pins.unanswered(sim, pin);
    // Who was to answer is gone: whoever comes next counts the tries anew.
    else if (name !== 'closed' && !name.endsWith('.NoReply')) await pins.refused(sim, pin);
    throw thrown;
  }
  await pins.forget(sim, pin);
}
