/**
 * Owns the entry of the command line: what an error prints and exits with.
 * Does not own which command is loaded (program.ts) nor any command: those are the files that commands.ts names.
 * Exit codes: 0 done, 1 failed, 2 the words were off, 141 whoever read closed the pipe; `lab exec` passes on its
 * command's own.
 */
import { CommanderError } from 'commander';
import { errorReadout } from '../model/errorReadout.ts';
import { asBranchboxError, BranchboxError, renderError } from '../model/errors.ts';
import { createProgram } from './program.ts';
import { print, spelledOut } from './terminal.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** As a shell tells of a program that SIGPIPE (13) ended: Node ignores that signal and sees EPIPE (signal(7)). */
const EXIT_PIPE_CLOSED = 141;

async function main(argv: readonly string[]): Promise<number> {
  // What follows `--` is somebody else's words, `--json` among them.
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const named = own.find((word) => !word.startsWith('-'));
  const program = await createProgram((command) => command === named);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      // Help and version end with 0 and have printed already; anything else is a usage error.
      if (thrown.exitCode !== 0 && own.includes('--json')) {
        printJsonError(new BranchboxError('cli/usage', { message: thrown.message }));
      }
      return thrown.exitCode === 0 || thrown.code === 'commander.help' ? 0 : EXIT_USAGE;
    }
    const error = asBranchboxError(thrown);
    process.stderr.write(spelledOut(`branchbox: ${renderError(error)}\n`));
    if (error.code === 'internal' && thrown instanceof Error)
      process.stderr.write(spelledOut(`${thrown.stack ?? ''}\n`));
    if (own.includes('--json')) printJsonError(error);
    return error.code === 'cli/usage' ? EXIT_USAGE : EXIT_FAILED;
  }
}

function printJsonError(error: BranchboxError): void {
  print(JSON.stringify(errorReadout(error)));
}

// What is read by `head` ends with it: nobody reads on, and what is underway for a reader alone would never end.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT_PIPE_CLOSED);
  process.stderr.write(`branchbox: the output cannot be written: ${error.message}\n`);
  process.exit(EXIT_FAILED);
});
process.exitCode = await main(process.argv.slice(2));
