/**
 * Owns cutting a machine's power at planned moments and seeing that it comes to work again each time. The machine's
 * disk loses what was not flushed (volatileDisk.ts). Does not own when (plan.ts), what the box is asked (box.ts), nor
 * how it is told (run.ts).
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { labPaths } from '../../../src/lab/paths.ts';
import { machinePaths } from '../../../src/lab/vm/machinePaths.ts';
import { stagesIn } from '../../../src/lab/vm/stages.ts';
import { elapse, LAB, lab, until } from '../../lab/mainjob/lab.ts';
import {
  acceptAnother,
  awaitUpdateBegun,
  awaitUpdateEnded,
  awaitWork,
  changeConfiguration,
  wantUpdate,
} from './box.ts';
import { BOX } from '../update/box.ts';
import { serveDisk } from './diskServer.ts';
import type { Horizon } from '../upLog.ts';
import { type CutKind, momentOf, type PlannedCut, seededRandom } from './plan.ts';
import { openVolatileDisk, SECTOR_BYTES, type VolatileDisk } from './volatileDisk.ts';

export interface CutReport extends PlannedCut {
  readonly afterMs: number;
  /** The last stage of the boot that was seen before the cut. */
  readonly at: string;
  readonly tpm: boolean;
  readonly sectorsKept: number;
  readonly sectorsLost: number;
  /** From power on to a tenant's traffic, app included; absent where the next cut came first. */
  readonly backAfterMs?: number;
  /** What became of the version that the power was cut on. */
  readonly update?: string;
  /** Why the box is lost. */
  readonly problem?: string;
}

export interface CutOptions {
  readonly seed: number;
  /** So many cuts may follow one another before the box must have been at work. */
  readonly together: number;
  /** Whether the machine has a TPM from its nth first boot on, counted from 0. */
  readonly hasTpm: (n: number) => boolean;
  /** How long the machine's boot took before. */
  readonly horizon: Horizon;
  /** Each as soon as its outcome is known. */
  readonly onReport: (line: string, reports: readonly CutReport[]) => void;
}

export interface PowerCuts {
  /** All of them, or up to the first after which the box is lost. */
  run(cuts: readonly PlannedCut[]): Promise<readonly CutReport[]>;
  /** The machine starts from the lab's own disk again. */
  close(): Promise<void>;
}

/** A boot on a host that is busier than it was. */
const PATIENCE = 6;
const isFactory = (kind: CutKind): boolean =>
  kind === 'first-table' || kind === 'first-boot' || kind === 'bootstrap';
const followsUpdate = (kind: CutKind): boolean => kind === 'slot-table' || kind === 'trial-boot';
/** Both copies: LBA 0 to 33, and as many at the end but for the MBR (UEFI 5.3.1). */
const touchesTable = (disk: VolatileDisk): boolean =>
  disk.isDirty(0, 34 * SECTOR_BYTES) || disk.isDirty(disk.sizeBytes - 33 * SECTOR_BYTES, disk.sizeBytes);
/** It begins from a box at work. */
const needsWork = (kind: CutKind): boolean => kind === 'config-change' || kind === 'update';

export async function openPowerCuts(options: CutOptions): Promise<PowerCuts> {
  const { together } = options;
  let { horizon } = options;
  const patienceMs = PATIENCE * horizon.inServiceMs;
  const files = machinePaths(labPaths(LAB), BOX);
  const overlay = `${files.disk}.volatile`;
  const disk = openVolatileDisk(files.factoryDisk, overlay);
  const coin = seededRandom(options.seed ^ 0x5eed);
  let lost = { kept: 0, lost: 0 };
  let resetNext = false;
  let [firstBoots, onAtMs, logFrom] = [0, 0, 0];
  let hasTpm = true;
  /** So many flushes of the partition table are left until the one that stops the disk; 0: none does. */
  let flushesLeft = 0;
  let isStopped = false;
  const server = await serveDisk(files.diskServer, disk, {
    onPowerLoss() {
      lost = disk.losePower(() => coin() < 0.5);
      if (resetNext) disk.reset();
      resetNext = isStopped = false;
    },
    stopsAtFlush() {
      if (flushesLeft === 0 || !touchesTable(disk)) return false;
      flushesLeft -= 1;
      isStopped = flushesLeft === 0;
      return isStopped;
    },
  });
  /** Power off and on; with `factory` the disk between them is made the factory's. */
  const restart = async (factory: boolean): Promise<void> => {
    resetNext = factory;
    if (factory) hasTpm = options.hasTpm(firstBoots++);
    flushesLeft = 0;
    logFrom = statSync(files.serialLog).size;
    await lab('restart', BOX, ...(hasTpm ? [] : ['--without-tpm']));
    onAtMs = performance.now();
  };
  const log = (): string => readFileSync(files.serialLog).subarray(logFrom).toString('latin1');
  const boots = (): number => log().split('Linux version').length - 1;

  /** To the moment from which the cut's own time counts. */
  const prepare = async (cut: PlannedCut, isBootOfOthers: boolean): Promise<void> => {
    switch (cut.kind) {
      case 'first-table':
      case 'first-boot':
      case 'bootstrap':
        if (isBootOfOthers) return;
        await wantUpdate(false);
        await restart(true);
        if (cut.atFlush !== undefined) await awaitTableWrite(cut.atFlush);
        return;
      case 'boot':
        return isBootOfOthers ? undefined : restart(false);
      case 'config-change':
        return changeConfiguration();
      case 'update':
        await wantUpdate(true);
        await awaitUpdateBegun(patienceMs);
        return;
      case 'slot-table':
        flushesLeft = cut.atFlush ?? 1;
        return awaitTrialBoot(() => isStopped);
      case 'trial-boot':
        return awaitTrialBoot(() => false);
    }
  };
  const awaitTableWrite = (atFlush: number): Promise<boolean> => {
    flushesLeft = atFlush;
    return until('the partition table is written', async () => isStopped, patienceMs);
  };
  /** The restart into the version, or an earlier moment; or the trial's end, where the cut before this one fell into it. */
  const awaitTrialBoot = async (isEarlier: () => boolean): Promise<void> => {
    let isOver = false;
    const what = 'the box restarts into the version on trial';
    const restarted = until(what, async () => isOver || isEarlier() || boots() > 1, patienceMs);
    const ended = awaitUpdateEnded(patienceMs, () => isOver);
    await Promise.race([restarted, ended]).finally(() => (isOver = true));
  };
  const recover = async (
    cut: PlannedCut,
    next: PlannedCut | undefined,
  ): Promise<Pick<CutReport, 'backAfterMs' | 'update'>> => {
    // Nobody sees the end of that update: it shall not restart the box later on.
    if (cut.kind === 'update') await wantUpdate(false);
    await awaitWork(patienceMs);
    const backAfterMs = Math.round(performance.now() - onAtMs);
    const slower = backAfterMs / horizon.inServiceMs;
    horizon = { multiUserMs: horizon.multiUserMs * slower, inServiceMs: backAfterMs };
    // An update is a change too: it begins when the box has committed that it is wanted.
    if (cut.kind === 'config-change' && next?.kind !== 'update') await acceptAnother(patienceMs);
    if (cut.kind !== 'trial-boot') return { backAfterMs };
    const update = await awaitUpdateEnded(patienceMs);
    await awaitWork(patienceMs);
    return { backAfterMs, update };
  };

  return {
    async run(cuts) {
      const reports: CutReport[] = [];
      let sinceWork = 0;
      for (const [index, cut] of cuts.entries()) {
        const before = cuts[index - 1];
        const goesOn =
          sinceWork > 0 && before !== undefined && isFactory(before.kind) === isFactory(cut.kind);
        const afterMs = momentOf(cut, horizon);
        let report: CutReport = { ...cut, afterMs, at: '', tpm: hasTpm, sectorsKept: 0, sectorsLost: 0 };
        try {
          await prepare(cut, goesOn);
          await elapse(afterMs);
          report = { ...report, at: stagesIn(log()).at(-1) ?? 'firmware', tpm: hasTpm };
          await restart(false);
          sinceWork += 1;
          report = { ...report, sectorsKept: lost.kept, sectorsLost: lost.lost };
          if (mustWork(cut, cuts[index + 1], sinceWork >= together)) {
            report = { ...report, ...(await recover(cut, cuts[index + 1])) };
            sinceWork = 0;
          }
        } catch (error) {
          report = { ...report, problem: error instanceof Error ? error.message : String(error) };
        }
        reports.push(report);
        options.onReport(describeCut(index, report), reports);
        if (report.problem !== undefined) break;
      }
      return reports;
    },
    async close() {
      await server.close();
      disk.close();
      rmSync(files.diskServer, { force: true });
      rmSync(overlay, { force: true });
      await lab('restart', BOX);
    },
  };
}

/** Whether the box must be at work before the next cut. */
function mustWork(cut: PlannedCut, next: PlannedCut | undefined, isEnough: boolean): boolean {
  if (next === undefined || cut.kind === 'trial-boot') return true;
  // The rest of an update that was cut is what the next cut waits for.
  if (followsUpdate(next.kind)) return false;
  return isEnough || needsWork(next.kind) || isFactory(cut.kind) !== isFactory(next.kind);
}

function describeCut(index: number, report: CutReport): string {
  const { kind, afterMs, atFlush, at, tpm, sectorsKept, sectorsLost, backAfterMs, update, problem } = report;
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`;
  const back =
    backAfterMs === undefined ? 'cut again before it was back' : `back after ${seconds(backAfterMs)}`;
  const cache = `${sectorsLost} of ${sectorsLost + sectorsKept} unflushed sectors lost`;
  const outcome = problem ?? [back, ...(update === undefined ? [] : [`update ${update}`])].join(', ');
  const when = atFlush === undefined ? `${seconds(afterMs)} in` : `at flush ${atFlush} of the table`;
  return `cut ${index + 1}: ${kind}, ${when} (${at}${tpm ? '' : ', no TPM'}), ${cache}: ${outcome}`;
}
