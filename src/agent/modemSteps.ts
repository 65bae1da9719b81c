/**
 * Owns taking the steps of each modem, one at a time and without waiting for other modems; and remembering what was
 * tried of it for as long as the same is wanted of it.
 * Does not own which step is next (wan/modem), when that is asked (modems.ts), nor the words on the bus
 * (modemManager.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import type { ModemStatus } from '../model/localStatus.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { dialRefusalOf, type ModemPlan, pauseMs, planModem, seenOf, statusOfModem } from '../wan/modem.ts';
import type { ModemSeen, ModemTries, ModemWish } from '../wan/modemSeen.ts';
import { type ModemManager, nameOf } from './modemManager.ts';
import type { ModemPins } from './modemPins.ts';

/** A connection that lasted so long worked: the next pause is a short one again. */
const STOOD_MS = 60_000;

export interface ModemLook {
  readonly wish: ModemWish;
  readonly plan: ModemPlan;
  readonly status: ModemStatus;
}

export interface ModemSteps {
  /** Begins the step that follows from what is seen, unless one of that modem is under way. */
  next(wish: ModemWish, to: ModemManager, modems: readonly ModemSeen[]): ModemLook;
  /** A modem that nobody wants any more must cost its owner nothing. */
  letGo(asked: readonly ModemWish[], manager: () => ModemManager | undefined): Promise<void>;
  /** Until the pause before a dial ends; Infinity where there is none. */
  nextDialInMs(): number;
  /** Resolves when none is under way. */
  settled(): Promise<void>;
}

interface Memory {
  dials: number;
  nextDialMs: number;
  lastRefusal: ModemTries['lastRefusal'];
  connectedSinceMs: number | undefined;
  isOwnDial: boolean;
  /** What it was dialled with: other settings start over. */
  words: string;
  isBusy: boolean;
  /** As last seen. */
  path: string | undefined;
}

export function createModemSteps(parts: {
  readonly pins: ModemPins;
  readonly clock: Clock;
  readonly log: Logger;
  /** One was taken, or failed: what follows is to be looked at. */
  readonly onTaken: () => void;
}): ModemSteps {
  const { pins, clock, log, onTaken } = parts;
  const memories = new Map<string, Memory>();
  const underWay = new Set<Promise<void>>();

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

  const next = (wish: ModemWish, to: ModemManager, modems: readonly ModemSeen[]): ModemLook => {
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
          // Where the settings changed meanwhile, this is not what is remembered.
          underWay.delete(step);
          for (const one of [memory, memories.get(wish.port)]) if (one !== undefined) one.isBusy = false;
          onTaken();
        });
      underWay.add(step);
    }
    return { wish, plan, status: statusOfModem(wish, seen, plan) };
  };

  const letGo = async (
    asked: readonly ModemWish[],
    manager: () => ModemManager | undefined,
  ): Promise<void> => {
    for (const [port, { path }] of memories) {
      if (asked.some((wish) => wish.port === port)) continue;
      memories.delete(port);
      if (path === undefined) continue;
      await manager()
        ?.hangUp(path, '/')
        .catch((error: unknown) => log.warn('a modem was not let go', { port, error }));
    }
  };

  return {
    next,
    letGo,
    nextDialInMs() {
      const nowMs = clock.monotonicMs();
      const dials = [...memories.values()].map(({ nextDialMs }) => nextDialMs - nowMs);
      return Math.min(...dials.filter((ms) => ms > 0));
    },
    async settled() {
      await Promise.all(underWay);
    },
  };
}

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
    // The modem that was to answer is gone: whatever comes next counts the tries anew.
    else if (name !== 'closed' && !name.endsWith('.NoReply')) await pins.refused(sim, pin);
    throw thrown;
  }
  await pins.forget(sim, pin);
}
