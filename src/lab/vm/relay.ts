/**
 * Owns a command in a machine with this process's own input, output and signals: what `lab exec` and `lab shell` do.
 * Does not own the session (guestExec.ts).
 */
import { constants } from 'node:os';
import { createClock } from '../../system/linux/clock.ts';
import { NODE_ENVIRONMENT } from '../enter.ts';
import type { LabPaths } from '../paths.ts';
import { openSession } from './guestExec.ts';
import { machinePaths } from './machinePaths.ts';

/** From power on to a root with a shell, emulated on a busy host. */
const BEGIN_TIMEOUT_MS = 10 * 60_000;
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** The command's exit code. */
export async function execInMachine(
  paths: LabPaths,
  node: string,
  command: readonly string[],
  terminalType: string,
): Promise<number> {
  const writes: Promise<unknown>[] = [];
  const session = await openSession(
    { kind: 'exec', command, environment: { ...NODE_ENVIRONMENT, TERM: terminalType } },
    {
      clock: createClock(),
      paths: machinePaths(paths, node),
      beginTimeoutMs: BEGIN_TIMEOUT_MS,
      onOutput: (name, data) => {
        writes.push(new Promise((done) => process[name].write(data, done)));
      },
    },
  );
  const passOn = (name: NodeJS.Signals): void => session.kill(constants.signals[name]);
  for (const name of PASSED_ON) process.on(name, passOn);
  const { stdin } = process;
  stdin.on('error', () => session.endInput());
  stdin.on('end', () => session.endInput());
  stdin.on('data', (data: Buffer) => {
    stdin.pause();
    void session.write(data).then(() => stdin.resume());
  });
  try {
    return await session.ended;
  } finally {
    await Promise.all(writes);
    for (const name of PASSED_ON) process.off(name, passOn);
    // A terminal or a pipe that nobody closes would keep this process.
    stdin.destroy();
  }
}

/** A login shell on a terminal of its own in the machine. */
export async function shellInMachine(paths: LabPaths, node: string, terminalType: string): Promise<number> {
  const { stdin, stdout } = process;
  if (!stdin.isTTY) return execInMachine(paths, node, ['bash', '-l'], terminalType);
  const size = `stty rows ${stdout.rows} cols ${stdout.columns}`;
  // Node puts the terminal back as it was when this process ends.
  stdin.setRawMode(true);
  const terminal = `SYSTEM:${size}; exec bash -l,pty,setsid,ctty,stderr,sane`;
  return execInMachine(paths, node, ['socat', 'STDIO', terminal], terminalType);
}
