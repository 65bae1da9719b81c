/**
 * Owns how far bootstrap is as the box's files tell it: for whoever asks while the identity process is away.
 * Does not own the words of a state (machine.ts) nor what the process itself answers (liveStatus.ts).
 */
import type { BootstrapStatus, JournalEntry } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Files } from '../system/ports.ts';
import { readJournal } from './journal.ts';
import { renderStatus } from './machine.ts';
import { createOwnerStore } from './ownerStore.ts';
import { BOOTSTRAP_PATHS, type BootstrapPaths, journalPath } from './paths.ts';
import { readResetMark } from './wipe.ts';

/** Throws system/file where this machine has no factory identity. */
export async function readStatus(
  files: Files,
  paths: BootstrapPaths = BOOTSTRAP_PATHS,
): Promise<BootstrapStatus> {
  const serial = (await files.readText(`${paths.factory}/serial`, 1024))?.trim();
  if (serial === undefined) {
    throw new BranchboxError('system/file', {
      message: 'This machine has no factory identity',
      mend: 'run this on a gateway; in the lab: branchbox lab exec branch1 -- branchbox bootstrap status',
    });
  }
  const written = (await readJournal(files, journalPath(paths)))?.entries ?? [];
  const asked = await readResetMark(files, paths.resetMarks);
  const isTold = asked === undefined || written.at(-1)?.state === 'WIPE';
  const wiped: JournalEntry[] = isTold
    ? []
    : [{ state: 'WIPE', enteredAtMs: asked.sinceMs ?? 0, note: { by: asked.by } }];
  const told = written.length === 0 ? 'its journal has no line yet' : 'this is told by its journal';
  return renderStatus({
    history: [...written, ...wiped],
    serial,
    gatewayId: (await createOwnerStore(files, paths).read())?.gatewayId,
    lastProblem: asked === undefined ? `the identity process does not run; ${told}` : undefined,
  });
}
