/**
 * Owns the words of `branchbox console`. Does not own the console: on a box firmware/branchbox.sh starts it before Node,
 * which is too large for what rests on each of its screens. So of this only --help is ever seen there.
 */
import type { Command } from 'commander';
import { BranchboxError } from '../model/errors.ts';

export function register(program: Command): void {
  program
    .command('console')
    .description(
      'the status screen of this box (started by branchbox-console@.service on each of its consoles)',
    )
    .option('--once', 'prints it and ends')
    .addHelpText('after', '\nexample: branchbox console --once')
    .action(() => {
      throw new BranchboxError('system/missing-tool', {
        message: 'the console is a program of a box, and this is none',
        mend: 'branchbox lab exec NODE -- branchbox console --once',
      });
    });
}
