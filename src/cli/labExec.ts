/**
 * Owns `lab exec` and `lab shell`: this process becomes the command in the node, so that exit code, signals,
 * input and output are the command's own. Loads as little as possible: people and tests call it all the time.
 */
import { accessSync, constants } from 'node:fs';
import { enterWords, notRunning, readNodePid } from '../lab/enter.ts';
import { labPaths } from '../lab/paths.ts';
import { isMachine } from '../lab/vm/machinePaths.ts';
import { BranchboxError } from '../model/errors.ts';

const terminalType = (): string => process.env['TERM'] ?? 'linux';

export async function execInNode(lab: string, node: string, command: readonly string[]): Promise<void> {
  const paths = labPaths(lab);
  const pid = readNodePid(paths, node);
  if (pid === undefined) throw notRunning(paths, node);
  if (isMachine(paths, node)) {
    const { execInMachine } = await import('../lab/vm/relay.ts');
    process.exitCode = await execInMachine(paths, node, command, terminalType());
    return;
  }
  const nsenter = ['/usr/bin/nsenter', '/bin/nsenter'].find(isExecutable);
  if (nsenter === undefined || process.execve === undefined) {
    throw new BranchboxError('system/missing-tool', { message: 'nsenter (util-linux) is not installed' });
  }
  waitForOtherEnds();
  process.execve(nsenter, ['nsenter', ...enterWords(pid), `TERM=${terminalType()}`, ...command]);
}

export async function shellInNode(lab: string, node: string): Promise<void> {
  const paths = labPaths(lab);
  if (readNodePid(paths, node) === undefined || !isMachine(paths, node)) {
    return execInNode(lab, node, ['bash', '-l']);
  }
  const { shellInMachine } = await import('../lab/vm/relay.ts');
  process.exitCode = await shellInMachine(paths, node, terminalType());
}

/**
 * Node makes a pipe non-blocking for whoever has the same open file (pipe(7)): what the command writes faster than it is read
 * would fail (EAGAIN) and be lost, and where it is quicker than whoever writes to it, its reading fails the same way. Node has no
 * documented word to take that back; its handle has libuv's.
 */
export function waitForOtherEnds(): void {
  for (const stream of [process.stdin, process.stdout, process.stderr]) {
    const handle: unknown = Reflect.get(stream, '_handle');
    if (typeof handle !== 'object' || handle === null) continue;
    const setBlocking: unknown = Reflect.get(handle, 'setBlocking');
    if (typeof setBlocking === 'function') Reflect.apply(setBlocking, handle, [true]);
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
