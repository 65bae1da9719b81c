/**
 * Owns the reports of uplink tests on disk: the last, those before and after the bootstrap, and which of them the
 * controller has. Does not own making or sending them (uplinkTests.ts).
 */
import { decodeJson } from '../model/decode.ts';
import { type LocalUplinkTest, REPORT_MAX_BYTES, UplinkReport } from '../model/uplinkReport.ts';
import type { Files } from '../system/ports.ts';
import { type AgentPaths, storedReportPath, uplinkReportPath } from './paths.ts';

type Which = Parameters<typeof uplinkReportPath>[1];

const ALL = ['before-bootstrap', 'after-bootstrap', 'latest'] as const satisfies readonly Which[];

export interface UplinkReports {
  read(): Pick<LocalUplinkTest, 'report' | 'beforeBootstrap'>;
  has(which: Which): boolean;
  /**
   * As the latest, and as that of its occasion where it has a place of its own. Known from then on even where the disk
   * takes it not: a test that nobody asked for must not be made again and again on a metered line.
   */
  keep(report: UplinkReport): Promise<void>;
  /** What the controller does not have yet. The certificate of birth is two: before and after. */
  unstored(): readonly UplinkReport[];
  /** The controller has it. */
  stored(id: string): Promise<void>;
}

export async function openUplinkReports(
  files: Pick<Files, 'readText' | 'writeDurable'>,
  paths: AgentPaths,
): Promise<UplinkReports> {
  const reports = new Map<Which, UplinkReport>();
  for (const which of ALL) {
    const report = await readReport(files, uplinkReportPath(paths, which));
    if (report !== undefined) reports.set(which, report);
  }
  const storedText = await files.readText(storedReportPath(paths), 1024).catch(() => undefined);
  const storedIds = new Set((storedText ?? '').split('\n').filter((line) => line !== ''));
  /** The latest is often another one too. */
  const kept = (): readonly UplinkReport[] => [
    ...new Map(ALL.flatMap((which) => reports.get(which) ?? []).map((one) => [one.id, one])).values(),
  ];
  return {
    read() {
      const report = reports.get('latest');
      const beforeBootstrap = reports.get('before-bootstrap');
      return {
        ...(report === undefined ? {} : { report }),
        ...(beforeBootstrap === undefined ? {} : { beforeBootstrap }),
      };
    },
    has: (which) => reports.has(which),
    async keep(report) {
      const { occasion } = report;
      const places: readonly Which[] =
        occasion === 'before-bootstrap' || occasion === 'after-bootstrap' ? ['latest', occasion] : ['latest'];
      for (const which of places) reports.set(which, report);
      for (const which of places)
        await files.writeDurable(uplinkReportPath(paths, which), JSON.stringify(report));
    },
    unstored: () => kept().filter(({ id }) => !storedIds.has(id)),
    async stored(id) {
      const ids = kept().map((report) => report.id);
      if (!ids.includes(id) || storedIds.has(id)) return;
      storedIds.add(id);
      const known = ids.filter((one) => storedIds.has(one));
      await files.writeDurable(storedReportPath(paths), known.join('\n'));
    },
  };
}

/** One that cannot be read, or is from another release, counts as none. */
async function readReport(files: Pick<Files, 'readText'>, path: string): Promise<UplinkReport | undefined> {
  try {
    const text = await files.readText(path, 2 * REPORT_MAX_BYTES);
    return text === undefined ? undefined : decodeJson(UplinkReport, text, path);
  } catch {
    return undefined;
  }
}
