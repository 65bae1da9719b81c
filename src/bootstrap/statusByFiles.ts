/**
 * Owns how far bootstrap is as the box's files tell it: for whoever asks while the identity process is away.
 * Does not own the words of a state (renderStatus.ts) nor what the process itself answers (liveStatus.ts).
 */
import type { BootstrapStatus, JournalEntry } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Files } from '../system/ports.ts';
import { readJournal } from './journal.ts';
import { renderStatus } from './renderStatus.ts';
import { createOwnerStore } from './ownerStore.ts';
import { BOOTSTRAP_PATHS, type BootstrapPaths, journalPath } from './paths.ts';
import { readResetMark } from './wipe.ts';

/** What firmware/cloud-identity said in this boot, a line each. */
const CLOUD_TOLD = '/run/branchbox/cloud-identity';
const MAX_TOLD_CHARS = 4096;

/** Throws system/file where this machine has no factory identity. */
export async function readStatus(
  files: Files,
  paths: BootstrapPaths = BOOTSTRAP_PATHS,
  cloudTold = CLOUD_TOLD,
): Promise<BootstrapStatus> {
  const serial = (await files.readText(`${paths.factory}/serial`, 1024))?.trim();
  if (serial === undefined) {
    throw new BranchboxError('system/file', {
      message: `This machine has no factory identity${await userDataSought(files, cloudTold)}`,
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

async function userDataSought(files: Files, path: string): Promise<string> {
  const text = await files.readText(path, MAX_TOLD_CHARS).catch(() => undefined);
  const said = (text ?? '').split('\n').filter((line) => line !== '');
  return said.length === 0 ? '' : ` (looked for in user data of a cloud: ${said.join('; ')})`;
}
