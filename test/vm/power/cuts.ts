/**
 * Owns cutting a machine's power at planned moments and seeing that it comes to work again each time with all that it
 * had. The machine's disk loses what was not flushed (volatileDisk.ts). Does not own when (plan.ts), what the box is
 * asked (box.ts, possessions.ts), what it must have (kept.ts), nor how it is told (summary.ts, run.ts).
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { labPaths } from '../../../src/lab/paths.ts';
import { machinePaths } from '../../../src/lab/vm/machinePaths.ts';
import { stagesIn } from '../../../src/lab/vm/stages.ts';
import { elapse, LAB, lab, until } from '../../lab/mainjob/lab.ts';
import {
  acceptAnother,
  awaitUpdateEnded,
  awaitWork,
  changeConfiguration,
  offerUpdate,
  wantUpdate,
} from './box.ts';
import { BOX } from '../update/box.ts';
import { createDiskStop } from './diskStop.ts';
import { serveDisk } from './diskServer.ts';
import type { Horizon } from '../upLog.ts';
import { asOfFactory, type Expected, isOlder, isRenewed, type Kept, lossesOf } from './kept.ts';
import { type CutKind, momentOf, type PlannedCut, seededRandom } from './plan.ts';
import { anchors, keepFile, lastAcknowledged, readKept } from './possessions.ts';
import { describeCut } from './summary.ts';
import { openVolatileDisk } from './volatileDisk.ts';

export interface CutReport extends PlannedCut {
  readonly afterMs: number;
  /** The last stage of the boot that was seen before the cut. */
  readonly at: string;
  readonly tpm: boolean;
  readonly sectorsKept: number;
  readonly sectorsLost: number;
  /** From power on to a tenant's traffic, app included; absent where the next cut came first. */
  readonly backAfterMs?: number;
  /** What the box was found to have and to do then; of what each cut since the last time could have cost. */
  readonly checked?: readonly string[];
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
  /** What the box was before the first cut. */
  readonly was: Kept;
  /** How long the machine's boot took before. */
  readonly horizon: Horizon;
  /** Each as soon as its outcome is known. */
  readonly onReport: (line: string, reports: readonly CutReport[]) => void;
}

export interface PowerCuts {
  /** The first of them is one from the factory's disk. All of them, or up to the first after which the box is lost. */
  run(cuts: readonly PlannedCut[]): Promise<readonly CutReport[]>;
  /** The machine starts from the lab's own disk again. */
  close(): Promise<void>;
}

/** A boot on a host that is busier than it was. */
const PATIENCE = 6;
const isFactory = (kind: CutKind): boolean =>
  kind === 'first-table' || kind === 'first-boot' || kind === 'bootstrap';
const followsUpdate = (kind: CutKind): boolean =>
  kind === 'slot-table' || kind === 'entry' || kind === 'trial-boot';
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
  /** The disk is the factory's from here on. */
  let expected: Expected = asOfFactory(options.was);
  let filesKept = 0;
  /** Not before the first that needs it: where a run has no update, or is ended before, nothing is made. */
  let offered: Promise<unknown> | undefined;
  const log = (): string => readFileSync(files.serialLog).subarray(logFrom).toString('latin1');
  const boots = (): number => log().split('Linux version').length - 1;
  const stop = createDiskStop(disk, () => stagesIn(log()).includes('kernel runs'));
  const server = await serveDisk(files.diskServer, disk, {
    onPowerLoss() {
      lost = disk.losePower(() => coin() < 0.5);
      if (resetNext) disk.reset();
      resetNext = false;
      stop.disarm();
    },
    stopsAtFlush: stop.stopsAtFlush,
  });
  /** Power off and on; with `factory` the disk between them is made the factory's. */
  const restart = async (factory: boolean): Promise<void> => {
    resetNext = factory;
    if (factory) hasTpm = options.hasTpm(firstBoots++);
    if (factory) expected = asOfFactory(expected);
    stop.disarm();
    logFrom = statSync(files.serialLog).size;
    await lab('restart', BOX, ...(hasTpm ? [] : ['--without-tpm']));
    onAtMs = performance.now();
  };

  /** To the moment from which the cut's own time counts. */
  const prepare = async (cut: PlannedCut, isBootOfOthers: boolean): Promise<void> => {
    switch (cut.kind) {
      case 'first-table':
      case 'first-boot':
      case 'bootstrap':
        if (isBootOfOthers) return;
        await wantUpdate(false);
        await restart(true);
        if (cut.atFlush === undefined) return;
        stop.arm('table', cut.atFlush);
        // A host that merges writes makes a table of fewer flushes than the seed has: the cut falls behind it then.
        return awaitStop('the partition table is written', () => stagesIn(log()).includes('multi-user'));
      case 'boot':
        return isBootOfOthers ? undefined : restart(false);
      case 'config-change':
        return changeConfiguration();
      case 'update':
        await (offered ??= offerUpdate());
        stop.arm('slot', cut.atFlush ?? 1);
        await wantUpdate(true);
        return awaitStop('the other slot is written');
      case 'slot-table':
        stop.arm('table', cut.atFlush ?? 1);
        return awaitTrialBoot(stop.isStopped);
      case 'entry':
        stop.arm('esp', cut.atFlush ?? 1);
        return awaitTrialBoot(stop.isStopped);
      case 'trial-boot':
        return awaitTrialBoot(() => false);
    }
  };
  const awaitStop = async (what: string, isPast = () => false): Promise<void> => {
    await until(what, async () => stop.isStopped() || isPast(), patienceMs);
  };
  /** The restart into the version, or an earlier moment; or the trial's end, where the cut before this one fell into it. */
  const awaitTrialBoot = async (isEarlier: () => boolean): Promise<void> => {
    let isOver = false;
    const what = 'the box restarts into the version on trial';
    const restarted = until(what, async () => isOver || isEarlier() || boots() > 1, patienceMs);
    const ended = awaitUpdateEnded(patienceMs, () => isOver);
    await Promise.race([restarted, ended]).finally(() => (isOver = true));
  };
  /** Throws where something of before is gone; from then on it is what must be there. */
  const checkKept = async (): Promise<readonly string[]> => {
    const after = await readKept();
    const losses = lossesOf(expected, after, await anchors());
    if (losses.length > 0) throw new Error(`at work, but ${losses.join('; ')}`);
    const checked = ['traffic', 'app', 'controller', ...namesOf(expected)];
    const renewed = isRenewed(expected, after);
    filesKept += 1;
    await keepFile(filesKept, `${options.seed}/${filesKept}`);
    expected = await readKept();
    return renewed ? [...checked, 'certificate renewed'] : checked;
  };
  const recover = async (
    row: readonly CutKind[],
    next: PlannedCut | undefined,
  ): Promise<Pick<CutReport, 'backAfterMs' | 'update' | 'checked'>> => {
    const kind = row.at(-1);
    // Nobody sees the end of that update: it shall not restart the box later on.
    if (kind === 'update' || kind === 'slot-table' || kind === 'entry') await wantUpdate(false);
    await awaitWork(patienceMs);
    const backAfterMs = Math.round(performance.now() - onAtMs);
    const slower = backAfterMs / horizon.inServiceMs;
    horizon = { multiUserMs: horizon.multiUserMs * slower, inServiceMs: backAfterMs };
    // An update is a change too: it begins when the box has committed that it is wanted.
    const isChange = row.includes('config-change') && next?.kind !== 'update';
    if (isChange) await acceptAnother(patienceMs);
    if (kind !== 'trial-boot') {
      const checked = await checkKept();
      return { backAfterMs, checked: isChange ? [...checked, 'another change committed'] : checked };
    }
    const update = await awaitUpdateEnded(patienceMs);
    await awaitWork(patienceMs);
    return { backAfterMs, update, checked: await checkKept() };
  };

  return {
    async run(cuts) {
      const reports: CutReport[] = [];
      let row: CutKind[] = [];
      for (const [index, cut] of cuts.entries()) {
        const before = cuts[index - 1];
        const goesOn =
          row.length > 0 && before !== undefined && isFactory(before.kind) === isFactory(cut.kind);
        const afterMs = momentOf(cut, horizon);
        let report: CutReport = { ...cut, afterMs, at: '', tpm: hasTpm, sectorsKept: 0, sectorsLost: 0 };
        try {
          await prepare(cut, goesOn);
          await elapse(afterMs);
          report = { ...report, at: stagesIn(log()).at(-1) ?? 'firmware', tpm: hasTpm };
          await restart(false);
          row = [...row, cut.kind];
          report = { ...report, sectorsKept: lost.kept, sectorsLost: lost.lost };
          const told = await lastAcknowledged();
          if (told !== undefined && isOlder(expected.committed, told))
            expected = { ...expected, committed: told };
          if (mustWork(cut, cuts[index + 1], row.length >= together)) {
            report = { ...report, ...(await recover(row, cuts[index + 1])) };
            row = [];
          }
        } catch (error) {
          report = { ...report, problem: error instanceof Error ? error.message : String(error) };
        }
        reports.push(report);
        options.onReport(describeCut(report), reports);
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

/** What of `expected` there was to compare. */
const namesOf = ({ identity, files }: Expected): readonly string[] => [
  'serial',
  'generation',
  ...(identity === undefined ? [] : ['certificate and key']),
  ...(files === undefined ? [] : [`${Object.keys(files).length} files of the volume`]),
];
