/** An updater as the agent runs it, on a disk of the fakes, whose clock goes on only while somebody sleeps. */
import { afterEach, beforeEach } from 'vitest';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WantedFirmware } from '../../../src/model/firmware.ts';
import { signJws } from '../../../src/pki/jws.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createUpdateRecords } from '../../../src/update/records.ts';
import { type Vitals } from '../../../src/update/trial.ts';
import { createUpdater, type UpdaterParts } from '../../../src/update/worker.ts';
import { createFakeFirmwareDisk } from '../../fakes/firmwareDisk.ts';
import { createFakeSource } from '../../fakes/firmwareSource.ts';
import { makeVersion, type Version } from '../../fakes/firmwareVersion.ts';
import { issue, makeCa, NOW_MS } from '../pki/domain.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

export const ca = makeCa('Release CA');
const release = issue(ca, { kind: 'firmware-signing', commonName: 'release' });
export const sign = ({ target }: Version, by = release): string =>
  signJws(Buffer.from(JSON.stringify(target.manifest)), by);
/** Longer sleeps are rests between events. */
const REST_MS = 5000;
export const OLD = makeVersion('1.0.0');
export const NEW = makeVersion('1.1.0', { builtAtMs: NOW_MS });

export const wantedOf = (version: Version, change: Partial<WantedFirmware> = {}): WantedFirmware => ({
  version: version.target.manifest.version,
  manifest: sign(version),
  allowDowngrade: false,
  ...change,
});
export const up: Vitals = {
  desired: true,
  controller: true,
  paths: new Map([['a~hub', true]]),
  segments: new Map([['red', true]]),
  apps: new Map(),
};

/** Call once in a file: each test gets a directory of its own. */
export function useUpdaterBoxes() {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-updater-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** A box that runs `running`; its clock goes on only while somebody sleeps. */
  function box(options: {
    readonly running?: Version;
    readonly disk?: ReturnType<typeof createFakeFirmwareDisk>;
    readonly wanted?: WantedFirmware | undefined;
    readonly vitals?: () => Vitals | undefined;
    readonly source?: UpdaterParts['source'];
    readonly bootId?: string;
    readonly restartHeld?: () => boolean;
    readonly nowMs?: number;
    readonly upAfterMs?: number;
    /** Of a rest between events: resolves where its time is over; else it lasts until somebody ends it. */
    readonly rest?: (durationMs: number) => Promise<void>;
    /** What a stick holds; else nothing that is for us. */
    readonly stick?: { readonly manifest: string; readonly source: UpdaterParts['source'] };
  }) {
    const running = options.running ?? OLD;
    const fake = options.disk ?? createFakeFirmwareDisk(OLD, [OLD, NEW]);
    const { version, rootHash } = running.target.manifest;
    const observe = fake.disk.observe.bind(fake.disk);
    const disk = {
      ...fake.disk,
      observe: async (signal: AbortSignal) => ({
        ...(await observe(signal)),
        running: { version, rootHash },
      }),
    };
    const events: string[] = [];
    const records = createUpdateRecords(createFiles(), directory, log);
    const stop = new AbortController();
    const said: string[] = [];
    const states = new Set<() => void>();
    let sinceMs = 0;
    const state = { wanted: options.wanted, restarts: 0, setAside: 0, deadlineS: 0, closedSticks: 0 };
    const updater = createUpdater({
      disk,
      running: { version, rootHash },
      records,
      bootId: options.bootId ?? 'one',
      anchors: async () => [ca.certificate],
      arch: 'x86-64',
      wanted: () => state.wanted,
      source: options.source ?? createFakeSource(NEW, 100),
      sticks: {
        open: async () =>
          options.stick === undefined
            ? undefined
            : { ...options.stick, close: async () => void (state.closedSticks += 1) },
      },
      vitals: options.vitals ?? (() => up),
      uptimeMs: async () => sinceMs,
      upAfterMs: async () => options.upAfterMs ?? 60_000,
      deferDeadline: async (seconds) => void (state.deadlineS = seconds),
      beforeTrial: async () => void (state.setAside += 1),
      restartHeld: options.restartHeld ?? (() => false),
      restart: async () => {
        state.restarts += 1;
        stop.abort();
      },
      emit: (kind, subject, sentence) => events.push(`${kind} ${subject}: ${sentence}`),
      onChange: () => {
        said.push(updater.status().state);
        for (const look of states) look();
      },
      clock: {
        nowMs: () => (options.nowMs ?? NOW_MS) + sinceMs,
        monotonicMs: () => sinceMs,
        // Looks are made as fast as they come; a rest lasts until somebody ends it.
        async sleep(durationMs, signal) {
          signal?.throwIfAborted();
          if (durationMs < REST_MS) sinceMs += durationMs;
          else {
            const ended = new Promise<never>((_, reject) =>
              signal?.addEventListener('abort', () => reject(signal.reason)),
            );
            await Promise.race([ended, ...(options.rest === undefined ? [] : [options.rest(durationMs)])]);
            sinceMs += durationMs;
          }
        },
      },
      log,
    });
    const until = (name: string): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => {
          if (updater.status().state !== name) return;
          states.delete(look);
          resolve();
        };
        states.add(look);
        look();
      });
    const ended = updater.run(stop.signal);
    return { fake, updater, events, records, stop, said, state, until, ended, clockMs: () => sinceMs };
  }
  return { box, directory: () => directory };
}
