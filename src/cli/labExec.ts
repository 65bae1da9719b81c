/**
 * Owns `lab exec` and `lab shell`: this process becomes the command in the node, so that exit code, signals,
 * input and output are the command's own. Loads as little as possible: people and tests call it all the time.
 */
import { accessSync, constants } from 'node:fs';
import { enterWords, notRunning, readNodePid } from '../lab/enter.ts';
import { labPaths } from '../lab/paths.ts';
import { BranchboxError } from '../model/errors.ts';

export function execInNode(lab: string, node: string, command: readonly string[]): void {
  const paths = labPaths(lab);
  const pid = readNodePid(paths, node);
  if (pid === undefined) throw notRunning(paths, node);
  const nsenter = ['/usr/bin/nsenter', '/bin/nsenter'].find(isExecutable);
  if (nsenter === undefined || process.execve === undefined) {
    throw new BranchboxError('system/missing-tool', { message: 'nsenter (util-linux) is not installed' });
  }
  process.execve(nsenter, [
    'nsenter',
    ...enterWords(pid),
    `TERM=${process.env['TERM'] ?? 'linux'}`,
    ...command,
  ]);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
