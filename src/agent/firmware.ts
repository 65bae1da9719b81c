/**
 * Owns putting the updater of this box together: what it learns of the box, and which one a box without slots has.
 * Does not own any decision of an update (update).
 */
import { type Certificate, parseCertificates } from '../pki/certificate.ts';
import type { App } from '../model/app.ts';
import type { DesiredSpec, PortAttachment, Segment, TunnelPeer } from '../model/desired.ts';
import type { WantedFirmware } from '../model/firmware.ts';
import type { DeviceClient } from '../system/deviceClient.ts';
import type { System } from '../system/ports.ts';
import { createFirmwareDisk } from '../update/disk.ts';
import { locateFirmware } from '../update/locate.ts';
import { readOwnTimeMs } from '../update/ownTime.ts';
import { createUpdateRecords } from '../update/records.ts';
import { createControllerSource } from '../update/controllerSource.ts';
import { createStartTime } from '../update/startTime.ts';
import { createSticks } from '../update/stick.ts';
import type { Vitals } from '../update/trial.ts';
import { createNoUpdater, type Updater } from '../update/updater.ts';
import { createUpdater, type UpdaterParts } from '../update/worker.ts';
import { type AgentPaths, upAfterPath, verdictByPath } from './paths.ts';
import type { StatusBody } from './reporting.ts';

/** Of this machine, as manifests name it. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86-64', arm64: 'arm64' };
/** Units get their time to stop; a restart that takes longer is asked for again. */
const RESTART_TIMEOUT_MS = 60_000;

export interface AgentFirmwareParts
  extends Pick<UpdaterParts, 'beforeTrial' | 'restartHeld' | 'emit' | 'onChange'> {
  readonly system: System;
  readonly paths: AgentPaths;
  /** Of the agent, where the root does not name one of its own. */
  readonly version: string;
  readonly device: DeviceClient;
  readonly wanted: () => WantedFirmware | undefined;
  readonly body: () => Pick<StatusBody, 'paths' | 'segments' | 'apps'> | undefined;
  readonly connected: () => boolean;
  /** What it holds to, committed or on trial. */
  readonly spec: () => DesiredSpec | undefined;
}

export interface AgentUpdater extends Updater {
  /** The box was looked at. */
  looked(): void;
}

export async function createAgentUpdater(parts: AgentFirmwareParts): Promise<AgentUpdater> {
  const { system, paths, version, ...told } = parts;
  const { runner, files, clock, log } = system;
  const located = await locateFirmware(files, version).catch((thrown: unknown) => {
    log.error('the slots of this box cannot be found', { error: thrown });
    return { ok: false, reason: `The slots of this box cannot be found: ${String(thrown)}` } as const;
  });
  if (!located.ok) return { ...createNoUpdater(version, located.reason), looked() {} };
  const running = { version: located.version, rootHash: located.rootHash };
  const uptimeMs = (): Promise<number> => readOwnTimeMs(files);
  const startTime = createStartTime({ files, path: upAfterPath(paths), uptimeMs });
  const vitals = (): Vitals | undefined => {
    const body = parts.body();
    return body === undefined
      ? undefined
      : vitalsOf(body, { spec: parts.spec(), controller: parts.connected() });
  };
  const updater = createUpdater({
    ...told,
    disk: createFirmwareDisk({
      runner,
      device: located.device,
      running,
      mountPoint: `${paths.run}/esp`,
      stagedPath: `${paths.firmware}/staged.efi`,
      variables: '/sys/firmware/efi/efivars',
    }),
    running,
    records: createUpdateRecords(files, paths.firmware, log),
    bootId: ((await files.readText('/proc/sys/kernel/random/boot_id')) ?? '').trim(),
    anchors: async (): Promise<readonly Certificate[]> =>
      parseCertificates((await files.readText(paths.releaseAnchors)) ?? ''),
    arch: ARCHITECTURES[process.arch] ?? process.arch,
    source: createControllerSource(parts.device),
    sticks: createSticks({ runner, mountPoint: `${paths.run}/stick`, ownDevice: located.device }),
    vitals,
    uptimeMs,
    upAfterMs: startTime.upAfterMs,
    deferDeadline: (seconds) => files.writeDurable(verdictByPath(paths), String(seconds)),
    restart: async () => {
      await runner.runChecked('systemctl', ['reboot'], { timeoutMs: RESTART_TIMEOUT_MS });
    },
    clock,
    log,
  });
  return {
    ...updater,
    looked() {
      const now = vitals();
      if (now === undefined) return;
      startTime.note(now).catch((thrown: unknown) => {
        log.warn('how long this start took cannot be noted', { error: thrown });
      });
    },
  };
}

/**
 * What is wanted and not in the body has vanished, and is down. Only what is not wanted any more has no entry. Pure.
 */
export function vitalsOf(
  body: Pick<StatusBody, 'paths' | 'segments' | 'apps'>,
  box: { readonly spec: NamedInDesired | undefined; readonly controller: boolean },
): Vitals {
  const { spec, controller } = box;
  const wanted = (names: readonly string[] = []): (readonly [string, boolean])[] =>
    names.map((name) => [name, false]);
  return {
    desired: spec !== undefined,
    controller,
    paths: new Map([
      ...wanted(spec?.tunnels.flatMap(({ peers }) => peers.map(({ path }) => path))),
      ...body.paths.map(({ id, state }) => [id, state === 'up'] as const),
    ]),
    segments: new Map([
      ...wanted(spec?.segments.map(({ id }) => id)),
      ...wanted(spec?.ports.map(({ segment, port }) => portOf(segment, port))),
      ...body.segments.flatMap(segmentVitals),
    ]),
    apps: new Map([
      ...wanted(spec?.apps.map(({ name }) => name)),
      ...body.apps.map(({ name, state }) => [name, state === 'running'] as const),
    ]),
  };
}

/** The names alone, from the desired state itself: whatever this version makes of it is what is judged. */
export interface NamedInDesired {
  readonly tunnels: readonly { readonly peers: readonly Pick<TunnelPeer, 'path'>[] }[];
  readonly segments: readonly Pick<Segment, 'id'>[];
  readonly ports: readonly PortAttachment[];
  readonly apps: readonly Pick<App, 'name'>[];
}

const portOf = (segment: string, port: string): string => `${segment} port ${port}`;

/** Of a segment itself and of each of its ports: one that was attached before must be after. */
function segmentVitals({
  id,
  state,
  ports,
  portsMissing,
}: StatusBody['segments'][number]): (readonly [string, boolean])[] {
  const isUp = state === 'up' || state === 'degraded';
  return [
    [id, isUp],
    ...ports.map((port) => [portOf(id, port), isUp && portsMissing?.includes(port) !== true] as const),
  ];
}
