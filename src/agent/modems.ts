/**
 * Owns the life of the box's modems: a connection to ModemManager where a modem is wanted, a look whenever it signals
 * or the wishes change, and telling what was seen (leases, states).
 * Does not own the step that each modem then takes (modemSteps.ts), the words on the bus (modemManager.ts), nor the
 * address (wan/uplinks).
 */
import type { ModemStatus } from '../model/localStatus.ts';
import type { System } from '../system/ports.ts';
import type { ModemWish } from '../wan/modemSeen.ts';
import { MODEM_LEASE, renderModemLease } from './modemLeases.ts';
import type { ModemManager } from './modemManager.ts';
import type { ModemPins } from './modemPins.ts';
import { createModemSteps, type ModemLook } from './modemSteps.ts';
import { holdLeases } from './staticLeases.ts';

const UNIT = 'ModemManager.service';
/** It signals what changes; this is for a bus that came back, and for pauses between dials. */
const LOOK_MS = 15_000;

export interface Modems {
  /** What is asked of them from now on. */
  hold(wishes: readonly ModemWish[]): void;
  statuses(): readonly ModemStatus[];
  /** Ports of modems that stand and whose address a DHCP client has to ask for. */
  byDhcp(): ReadonlySet<string>;
  run(signal: AbortSignal): Promise<void>;
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
  /** The reported state of one changed; a change of its signal strength alone does not count. */
  readonly onStates: () => void;
}): Modems {
  const { system } = parts;
  const { clock, log, files } = system;
  let wishes: readonly ModemWish[] = [];
  let manager: ModemManager | undefined;
  let statuses: readonly ModemStatus[] = [];
  let dhcp: ReadonlySet<string> = new Set();
  /** Whether leases say what was seen last. */
  let isTold = true;
  let wakeUp = (): void => undefined;
  let isWoken = false;
  const wake = (): void => {
    isWoken = true;
    wakeUp();
  };
  const steps = createModemSteps({ pins: parts.pins, clock, log, onTaken: wake });

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

  const tell = async (found: readonly ModemLook[]): Promise<void> => {
    const leases = new Map<string, string>();
    const asking = new Set<string>();
    for (const { wish, plan } of found) {
      if (plan.bearer === undefined || wish.ifname === undefined) continue;
      const lease = renderModemLease(wish.ifname, plan.bearer);
      if (lease === undefined) asking.add(wish.port);
      else leases.set(`${wish.ifname}.env`, lease);
    }
    try {
      await holdLeases(files, parts.leases, MODEM_LEASE, leases);
      isTold = true;
    } catch (thrown) {
      // A full disk is no fault of ModemManager's, and no end of the agent: it is tried again at the next look.
      isTold = false;
      log.warn('the addresses of modems cannot be told', { error: thrown });
    }
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

  const lookAtAll = async (): Promise<void> => {
    const asked = wishes;
    await steps.letGo(asked, () => manager);
    if (asked.length === 0) {
      manager?.close();
      await tell([]);
      return;
    }
    let found: readonly ModemLook[];
    try {
      const to = await reach();
      const modems = await to.modems();
      found = asked.map((wish) => steps.next(wish, to, modems));
    } catch (thrown) {
      // Connections go on without it: bearers are the modems' own.
      const sentence = `ModemManager does not answer (${thrown instanceof Error ? thrown.message : 'no reason'}): \`systemctl status ${UNIT}\`.`;
      log.warn('ModemManager cannot be asked', { error: thrown });
      // The next look starts it and connects anew: the bus may be there without it.
      const silent = manager;
      manager = undefined;
      silent?.close();
      say(asked.map(({ port }) => ({ port, reason: 'no-manager', sentence })));
      return;
    }
    await tell(found);
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
        if (wishes.length > 0 || !isTold)
          await clock.sleep(Math.min(LOOK_MS, steps.nextDialInMs()), ends).catch(() => undefined);
        else if (!ends.aborted)
          await new Promise((resolve) => ends.addEventListener('abort', resolve, { once: true }));
      }
      manager?.close();
      // Which PIN was given is written down before the end.
      await steps.settled();
    },
  };
}

const keyOf = (wishes: readonly ModemWish[]): string =>
  JSON.stringify(wishes.map((wish) => [wish, wish.password?.reveal(), wish.pin?.reveal()]));
