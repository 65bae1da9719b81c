/**
 * Owns holding tunnels back while the clock is behind what their peers have seen of this box, telling why, and the way
 * out: the clock passes that time, or it is known to be right and the box takes another key. Keeps that time on disk.
 * Does not own the rules (wan/usedTime.ts), the key's file (wireguardKey.ts), nor the clock, which nothing here sets.
 */
import { tryDecode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import type { System } from '../system/ports.ts';
import {
  behind,
  type Handshakes,
  keptAfter,
  keptOfNewKey,
  mayRenew,
  tunnelsLive,
  UsedTime,
} from '../wan/usedTime.ts';
import type { TimeSync } from './timeSync.ts';

/** No event tells that a clock was set. Comparing two numbers costs nothing. */
const LOOK_MS = 5000;
/** A process each, and only while the clock is behind. */
const SYNC_EVERY_MS = 10_000;
/** After a new key it names each peer of each interface. */
const MAX_BYTES = 4 * 1024 * 1024;

export interface TunnelClock {
  /** Looked at now, for whoever renders. */
  isBehind(): boolean;
  /** For a person, while it is; says no time that moves. */
  sentence(): string | undefined;
  /** As interfaces tell them. */
  heard(handshakes: Handshakes): void;
  run(signal: AbortSignal): Promise<void>;
}

export async function createTunnelClock(parts: {
  readonly system: Pick<System, 'files' | 'clock' | 'log'>;
  readonly path: string;
  readonly publicKey: () => string;
  /** Whether a tunnel that is wanted calls anybody. */
  readonly calls: () => boolean;
  readonly timeSync: (signal: AbortSignal) => Promise<TimeSync>;
  /** Makes another key and has it told; resolves to its public half. */
  readonly renewKey: () => Promise<string>;
  /** Whether tunnels may begin, or why not, is other than before. */
  readonly onChange: () => void;
}): Promise<TunnelClock> {
  const { path, publicKey, calls, onChange } = parts;
  const { files, clock, log } = parts.system;
  let kept = await readKept(files, path);
  let handshakes: Handshakes | undefined;
  /** One after the other, so that the last is what is kept. */
  let writing: Promise<void> = Promise.resolve();
  let isRenewing = false;
  let behindSinceMs: number | undefined;
  let sync: TimeSync = 'unknown';
  let syncAtMs = Number.NEGATIVE_INFINITY;
  let renewedAtMs: number | undefined;
  let verdict: ReturnType<typeof mayRenew> = 'not-yet';
  let told: string | undefined;

  const usedMs = (): number | undefined => (calls() ? behind(kept, publicKey(), clock.nowMs()) : undefined);
  const live = (): boolean => handshakes !== undefined && tunnelsLive(handshakes, clock.nowMs());

  const write = async (next: UsedTime, before: Promise<void>): Promise<void> => {
    await before;
    try {
      await files.writeDurable(path, JSON.stringify(next));
    } catch (error) {
      log.warn('the time that tunnels have used cannot be kept', { error });
    }
  };
  const keep = (next: UsedTime): Promise<void> => {
    kept = next;
    writing = write(next, writing);
    return writing;
  };

  const sentence = (): string | undefined => {
    const used = usedMs();
    if (used === undefined) return undefined;
    const what = `The clock of this box is behind ${new Date(used).toISOString()}, a time that its tunnels have used before; peers refuse a key that calls with an older one.`;
    const effect = live()
      ? 'Tunnels go on as long as their peers call this box; what changes in them waits.'
      : 'Tunnels that call wait until the clock has passed it.';
    return `${what} ${effect} ${mend()}`;
  };
  const mend = (): string => {
    if (sync === 'unknown')
      return 'Time servers set the clock: let NTP out (UDP 123), or have DHCP name one; `chronyc sources` lists who answers.';
    if (sync === 'before-floor')
      return 'Time servers answer and say a time before one that was signed for this box: look at who answers (`chronyc sources`).';
    if (verdict === 'tunnels-live')
      return 'The clock is right now by its time servers; where tunnels end, the box takes another key by itself. Nothing to do.';
    if (verdict === 'too-soon')
      return 'The clock is right by its time servers, but the box took another key for this within the last day, so that it waits for a day: look at who turns its clock (`chronyc sources`).';
    return 'The clock is right by its time servers: the box takes another key by itself. Nothing to do.';
  };

  const tell = (): void => {
    const now = sentence();
    if (now === told) return;
    if (now === undefined) log.info('the clock is not behind its tunnels any more');
    else
      log.warn('tunnels wait for the clock', {
        error: new BranchboxError('wan/clock-behind', { message: now }),
      });
    told = now;
    onChange();
  };

  const renew = async (): Promise<void> => {
    const before = handshakes ?? new Map<string, number>();
    const nowMs = clock.nowMs();
    renewedAtMs = clock.monotonicMs();
    // What interfaces remember is of the key before until they were told, and until it is kept what to leave out.
    isRenewing = true;
    try {
      const made = await parts.renewKey();
      log.warn('another WireGuard key was made: the clock is right, and behind what this box used before', {
        publicKey: made,
      });
      await keep(keptOfNewKey(made, nowMs, before));
    } finally {
      isRenewing = false;
    }
  };

  const look = async (signal: AbortSignal): Promise<void> => {
    if (usedMs() === undefined) {
      behindSinceMs = undefined;
      sync = 'unknown';
      return;
    }
    behindSinceMs ??= clock.monotonicMs();
    if (clock.monotonicMs() - syncAtMs >= SYNC_EVERY_MS) {
      syncAtMs = clock.monotonicMs();
      sync = await parts.timeSync(signal);
    }
    if (sync !== 'right') return;
    verdict = mayRenew({
      kept,
      nowMs: clock.nowMs(),
      handshakes,
      behindForMs: clock.monotonicMs() - behindSinceMs,
      sinceRenewalMs: renewedAtMs === undefined ? undefined : clock.monotonicMs() - renewedAtMs,
    });
    if (verdict === 'now') await renew();
  };

  return {
    isBehind: () => usedMs() !== undefined,
    sentence,
    heard(found) {
      if (isRenewing) return;
      handshakes = found;
      const next = calls() ? keptAfter(kept, publicKey(), found) : undefined;
      if (next !== undefined) void keep(next);
    },
    async run(signal) {
      while (!signal.aborted) {
        await look(signal).catch((error: unknown) => {
          if (!signal.aborted) log.warn('the clock of the tunnels cannot be looked at', { error });
        });
        tell();
        await clock.sleep(LOOK_MS, signal).catch(() => undefined);
      }
      await writing;
    },
  };
}

/** What cannot be read says nothing: then the box tries, as it did before there was such a file. */
async function readKept(
  files: Pick<System['files'], 'readText'>,
  path: string,
): Promise<UsedTime | undefined> {
  try {
    const decoded = tryDecode(UsedTime, JSON.parse((await files.readText(path, MAX_BYTES)) ?? 'null'));
    return decoded.ok ? decoded.value : undefined;
  } catch {
    return undefined;
  }
}
