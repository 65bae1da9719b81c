/**
 * Rows of the fault table: a disk that takes nothing more, full or read-only, until there is room. The box's real file
 * port runs; what it opens to write fails as the kernel would have it.
 */
import type * as FsPromises from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, vi } from 'vitest';
import type { BootstrapState } from '../../../../src/model/bootstrap.ts';
import { createFiles } from '../../../../src/system/linux/files.ts';
import { DAY_MS } from '../authorities.ts';
import { type Box, createBox, type LogLine } from '../box.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { type FaultRow, faultTable, problemOf, type Seen } from './table.ts';

const WORDS = {
  ENOSPC: 'ENOSPC: no space left on device, write',
  EROFS: 'EROFS: read-only file system, open',
} as const;
type Trouble = keyof typeof WORDS;
const storage = vi.hoisted(() => ({ root: '/none', trouble: undefined as 'ENOSPC' | 'EROFS' | undefined }));
vi.mock('node:fs/promises', async (importActual) => {
  const actual = await importActual<typeof FsPromises>();
  const open = async (path: string, flags: string, ...rest: never[]): Promise<unknown> => {
    const { root, trouble } = storage;
    if (trouble === undefined || flags === 'r' || !path.startsWith(root)) {
      return Reflect.apply(actual.open, undefined, [path, flags, ...rest]);
    }
    throw Object.assign(new Error(WORDS[trouble]), { code: trouble });
  };
  return { ...actual, open };
});

const bench = createFaultBench();
let root: string;
let box: Box;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'bbt-full-'));
  const disk = { files: { ...createFiles(), watch: () => {} }, root };
  box = await createBox(bench.authorities, bench.controller.port, disk);
  storage.root = root;
});
afterEach(async () => {
  storage.trouble = undefined;
  await box.remove();
  await rm(root, { recursive: true, force: true });
});

const FAILURES = 3;
/** In one life of the process: trouble begins at `begins`, three tries fail by it, there is room, and it comes to `end`. */
async function through(
  trouble: Trouble,
  begins: (line: LogLine) => boolean,
  end: BootstrapState,
): Promise<Seen> {
  const { controller } = bench;
  const met: LogLine[] = [];
  let begun = storage.trouble !== undefined;
  await box.run({
    controller,
    until: (line) => {
      if (!begun && begins(line)) {
        begun = true;
        storage.trouble = trouble;
      }
      if (failed(line) && line.fields['code'] === 'system/file') met.push(line);
      if (met.length >= FAILURES) storage.trouble = undefined;
      return met.length >= FAILURES && line.fields['state'] === end && !failed(line);
    },
  });
  const states = [...new Set(met.map(({ fields }) => String(fields['state'])))].join();
  return {
    outcome: `${met.length} × system/file in ${states}; then by itself ${end}, ${controller.enrolments.length} enrolments`,
    told: problemOf(met.at(-1)).replaceAll(root, ''),
  };
}
const entered =
  (state: BootstrapState) =>
  (line: LogLine): boolean =>
    line.message === 'bootstrap state entered' && line.fields['state'] === state;
const MUST = 'not end; say so, keep what it has, and go on when there is room';
const FULL =
  'the disk is full (make room on it; the box keeps what it has and goes on by itself when there is some)';
const READ_ONLY =
  'the file system is read-only (restart the box; where it comes back, the disk failed and is to be replaced. The box keeps what it has and tries on)';

interface Row {
  readonly fault: string;
  readonly trouble: Trouble;
  readonly file: string;
  readonly seenIn: BootstrapState;
  readonly end?: BootstrapState;
  readonly enrolments?: number;
  /** Comes to where trouble begins; told is which line that is at, where it has not begun by then. */
  readonly arrange: () => Promise<(line: LogLine) => boolean>;
}
const row = ({
  fault,
  trouble,
  file,
  seenIn,
  end = 'OPERATIONAL',
  enrolments = 1,
  arrange,
}: Row): FaultRow => ({
  fault,
  must: MUST,
  outcome: `3 × system/file in ${seenIn}; then by itself ${end}, ${enrolments} enrolments`,
  told: `system/file: /identity/${file} cannot be written: ${trouble === 'ENOSPC' ? FULL : READ_ONLY}`,
  run: async () => through(trouble, await arrange(), end),
});
/** From here on, in the next start too. */
const beginNow = (trouble: Trouble): (() => boolean) => {
  storage.trouble = trouble;
  return () => false;
};
const atStart = (fault: string, trouble: Trouble): FaultRow =>
  row({ fault, trouble, file: 'journal.json', seenIn: 'FACTORY', arrange: async () => beginNow(trouble) });
const from = (fault: string, trouble: Trouble, state: BootstrapState, file: string): FaultRow =>
  row({ fault, trouble, file, seenIn: state, arrange: async () => entered(state) });
const comeTo = (state: BootstrapState): Promise<boolean> =>
  box.run({ controller: bench.controller, until: state });

faultTable('a disk that takes no more', [
  atStart('full at the first start', 'ENOSPC'),
  atStart('read-only at the first start', 'EROFS'),
  from('full before the voucher', 'ENOSPC', 'PROVISIONAL', 'pending-owner.json'),
  from('full once it has an owner', 'ENOSPC', 'OWNED', 'clock-floor'),
  from('full before its key is made', 'ENOSPC', 'ENROLLING', 'ldevid.key'),
  from('full once it has a certificate', 'ENOSPC', 'LDEVID', 'journal.json'),
  from('read-only once the controller took it', 'EROFS', 'STRICT', 'domain-anchor.pem'),
  row({
    fault: 'full when it should ask afresh who owns it, after 12 refusals',
    trouble: 'ENOSPC',
    file: 'journal.json',
    seenIn: 'ENROLLING',
    end: 'DISCOVER',
    enrolments: 12,
    arrange: async () => {
      bench.controller.behaviour.enrol = () => ({ status: 403 });
      return (line) => failed(line) && line.fields['attempt'] === 12;
    },
  }),
  row({
    fault: 'read-only in service, when its certificate is due',
    trouble: 'EROFS',
    file: 'journal.json',
    seenIn: 'OPERATIONAL',
    enrolments: 2,
    arrange: async () => {
      await comeTo('OPERATIONAL');
      box.clock.setMs(box.clock.nowMs() + 65 * DAY_MS);
      return beginNow('EROFS');
    },
  }),
  row({
    fault: 'full while a factory reset waits for it',
    trouble: 'ENOSPC',
    file: 'journal.json',
    seenIn: 'OPERATIONAL',
    end: 'WIPE',
    arrange: async () => {
      await comeTo('OPERATIONAL');
      for (const mark of box.paths.resetMarks) await box.files.writeDurable(mark, 'button 1780000000');
      return beginNow('ENOSPC');
    },
  }),
  row({
    fault: 'full, and the journal is damaged',
    trouble: 'ENOSPC',
    file: 'journal.json',
    seenIn: 'LDEVID',
    arrange: async () => {
      await comeTo('LDEVID');
      await box.files.writeDurable(`${box.paths.state}/journal.json`, '{"schema":1,');
      return beginNow('ENOSPC');
    },
  }),
]);
