/**
 * Owns putting the identity process together: always running, bootstrap is its first phase, then it renews.
 * Does not own a step of it. Shares no code path with containers or the data plane.
 */
import { randomBytes as nodeRandomBytes } from 'node:crypto';
import type { BoxClaims } from '../model/assignment.ts';
import { isBeforeEnrolment } from '../model/bootstrap.ts';
import { readTpmReadiness } from '../model/keyHolder.ts';
import { watchLeases } from '../system/leases.ts';
import type { System } from '../system/ports.ts';
import { createSecondLook } from '../system/secondLook.ts';
import { createTpmUse } from '../system/tpmUse.ts';
import { createActivation } from './activation.ts';
import { findBootstrapServers } from './bootstrapServers.ts';
import { readClaims } from './claims.ts';
import { openTrustedClock, type TrustedClock } from './clockFloor.ts';
import type { ServiceContext } from './context.ts';
import type { DeviceKeys } from './deviceKeys.ts';
import { createEnrolment } from './enrol.ts';
import { readFactory } from './factory.ts';
import { readHardwareClock } from './hardwareClock.ts';
import { createHttps } from './https.ts';
import { openJournal } from './journal.ts';
import { tellingKeyLoss } from './keyLoss.ts';
import { removeLeftovers } from './leftovers.ts';
import { createLiveStatus } from './liveStatus.ts';
import { createMachine } from './machine.ts';
import { createMediumDesk, MEDIA_DIRECTORY } from './medium.ts';
import { createMoves } from './moves.ts';
import { createNotices } from './notices.ts';
import { createOwnedEntry } from './ownedEntry.ts';
import { reportToOwner } from './ownerReport.ts';
import { createOwnerRevocations } from './ownerRevocations.ts';
import { createOwnerStore } from './ownerStore.ts';
import {
  BOOTSTRAP_PATHS,
  type BootstrapPaths,
  clockFloorPath,
  journalPath,
  ldevidPaths,
  movedLdevidPaths,
  moveRecordPath,
  nextLdevidPaths,
  ownerListsPath,
  quarantinePath,
} from './paths.ts';
import type { BlockDevicePaths } from './pluggedMedia.ts';
import { createProgress } from './progress.ts';
import { createQuarantineMark } from './quarantineMark.ts';
import { createServiceActions } from './service.ts';
import { serveSockets } from './sockets.ts';
import { createStandingLooks } from './standingLooks.ts';
import { stateByFiles } from './stateByFiles.ts';
import { createEarlyActions } from './states.ts';
import { createSztpClient, type SztpClient } from './sztp.ts';
import { createTimeWitness } from './timeWitness.ts';
import { createTimeTelling } from './toldTime.ts';
import { openDeviceKeys } from './tpmKeys.ts';
import { createWaker } from '../system/waker.ts';
import { createWaysOut, type WaysOutOptions } from './waysOut.ts';
import { createResetMarks, createWipe, wipeFor } from './wipe.ts';

export interface IdentityOptions extends WaysOutOptions {
  readonly system: Pick<System, 'runner' | 'files' | 'clock' | 'log'>;
  /** The line of firmware/tpm-ready. */
  readonly tpmTold: string | undefined;
  readonly version: string;
  /** When this software was built: no moment before it can be now. */
  readonly builtAtMs: number;
  readonly signal: AbortSignal;
  readonly paths?: BootstrapPaths;
  /** Where firmware/medium-read puts what it found on media. */
  readonly mediaDirectory?: string;
  /** Where udev and the kernel tell of what is plugged in. */
  readonly blockDevices?: BlockDevicePaths;
  /** For tests: other keys, other chance. */
  readonly keys?: DeviceKeys;
  readonly randomBytes?: (count: number) => Uint8Array;
  readonly random?: () => number;
}

/** Until the signal aborts, or it must be started again to reach its TPM; rejects on what only a restart or a person can mend. */
export async function runIdentity(options: IdentityOptions): Promise<void> {
  const { system, signal, paths = BOOTSTRAP_PATHS } = options;
  const { files, log } = system;
  const random = options.random ?? Math.random;
  const tpm = createTpmUse();
  const again = new AbortController();
  const { mayPass } = readTpmReadiness(options.tpmTold);
  const look = createSecondLook({ clock: system.clock, mayPass, end: () => again.abort() });
  const keys =
    options.keys ??
    openDeviceKeys({ system, use: tpm, told: options.tpmTold, onMissed: () => look.needed() });
  const factory = await readFactory(files, paths.factory, keys);
  await removeLeftovers(files, paths.state, log);
  const clock = await openTrustedClock({
    files,
    clock: system.clock,
    path: clockFloorPath(paths),
    builtAtMs: options.builtAtMs,
    hardwareMs: await readHardwareClock(files, paths.hardwareClocks),
    tell: createTimeTelling({ files, log }, paths.knownTime),
  });
  const owners = createOwnerStore(files, paths);
  const enrolment = createEnrolment({ files, keys, clock, serial: factory.serial, log });
  const ldevid = ldevidPaths(paths);
  const quarantine = createQuarantineMark(files, quarantinePath(paths));
  const waker = createWaker(system.clock);
  const os = { name: 'branchbox', version: options.version };
  const moves = createMoves({
    files,
    path: moveRecordPath(paths),
    moved: movedLdevidPaths(paths),
    factory,
    os,
    owners,
    clock,
    log,
    onTaken: () => waker.wake(),
  });

  const byFiles = () => stateByFiles({ owners, quarantine, moves, enrolment, ldevid });
  const journal = await openJournal({
    files,
    clock: system.clock,
    log,
    path: journalPath(paths),
    fallback: byFiles,
  });

  const { connect, ...network } = createWaysOut(options, {
    system,
    tpm,
    portsSocket: paths.portsSocket,
    proxy: () => medium.proxy(),
    isUnderWay: () => isBeforeEnrolment(journal.current().state),
  });
  const { uplinks } = network;
  const https = tellingKeyLoss(createHttps({ connect, nowMs: () => clock.nowMs() }), keys, factory);
  const mediaDirectory = options.mediaDirectory ?? MEDIA_DIRECTORY;
  const medium = createMediumDesk({
    files,
    paths,
    mediaDirectory,
    factory,
    os,
    clock,
    owners,
    takenBefore: (mark) => journal.history().some(({ note }) => note['medium'] === mark),
    log,
  });
  await medium.network();
  const given = createWaker(system.clock);
  const notices = createNotices();
  const looks = createStandingLooks({ clock: system.clock, random });
  const revocations = createOwnerRevocations({
    files,
    path: ownerListsPath(paths),
    https,
    uplinks,
    present: owners.read,
    clock,
    monotonicMs: () => system.clock.monotonicMs(),
    random,
    notices,
    log,
  });
  const activation = createActivation({ onOffer: () => given.wake() });
  const sztpBy = (by: TrustedClock, claims?: () => Promise<BoxClaims>): SztpClient =>
    createSztpClient({
      https,
      factory,
      clock: by,
      randomBytes: options.randomBytes ?? nodeRandomBytes,
      os,
      ...(claims && { claims }),
    });
  const sztp = sztpBy(clock, () => readClaims(files));
  const owned = createOwnedEntry(journal);
  const progress = createProgress({
    onboarder: () => owned.onboarder(),
    report: (telling) =>
      reportToOwner({ owners, revocations, factory, clock, uplinks, sztp }, telling, signal),
    secondFactor: () => activation.state(),
    log,
  });
  const context: ServiceContext = {
    ...network,
    factory,
    owners,
    enrolment,
    activation,
    medium,
    ldevid,
    next: nextLdevidPaths(paths),
    sztp,
    https,
    clock,
    owned,
    monotonicMs: () => system.clock.monotonicMs(),
    waker,
    log,
    notices,
    files,
    paths,
    random,
    quarantine,
    looks,
    moves,
    revocations,
    progress,
    timeWitness: createTimeWitness({
      clock,
      sztpBy: (by) => sztpBy(by),
      servers: () => findBootstrapServers(context),
      monotonicMs: () => system.clock.monotonicMs(),
      log,
    }),
  };
  const marks = createResetMarks(files, paths.resetMarks);
  const machine = createMachine({
    journal,
    actions: {
      ...createEarlyActions(context),
      ...createServiceActions(context),
      WIPE: createWipe({
        marks,
        stateByFiles: byFiles,
        restart: () => again.abort(),
        waker,
      }),
    },
    waker,
    given,
    progress,
    clock: system.clock,
    log,
    random,
  });

  const status = createLiveStatus(context, { journal, machine, keys, blockDevices: options.blockDevices });
  // The machine's end, by a failure too, ends watches and sockets.
  const ended = new AbortController();
  const running = AbortSignal.any([signal, ended.signal]);
  watchLeases(files, () => waker.wake(), running, options.leaseDirectory);
  if (!(await owners.wasOwned())) files.watch(mediaDirectory, () => waker.wake(), running);
  await serveSockets(context, { status, journal, machine, marks, clock: system.clock }, running);
  // A reset was cut off, and could not be ended at boot: nothing that is left of this box's state counts.
  const asked = await marks.read();
  if (asked !== undefined && journal.current().state !== 'WIPE') void machine.turnTo(wipeFor(asked));
  try {
    await machine.run(AbortSignal.any([signal, again.signal]));
  } finally {
    ended.abort();
  }
}

/** For commands, which enter by this file alone: with the process away, and in the factory. */
export { makeRequest } from './idevidRequest.ts';
export { readStatus } from './statusByFiles.ts';
