/**
 * Owns the root of the command line: what `branchbox --help` says, and that only the command that is called is loaded.
 * Does not own any command (commands.ts names their files) nor how it ends (main.ts).
 */
import { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { COMMANDS } from './commands.ts';

/** `isNamed`: which commands are loaded with all their words; the others are one line in the help. */
export async function createProgram(isNamed: (command: string) => boolean): Promise<Command> {
  // A box has no lab: the example there is another.
  const example = COMMANDS.some(({ name }) => name === 'lab') ? 'lab up' : 'status --json';
  const program = new Command('branchbox')
    .description('Open SD-WAN branch gateway: bootstraps itself, multi-WAN tunnels, tenant segments, apps')
    .version(packageJson.version)
    .enablePositionalOptions()
    .showHelpAfterError('(add --help for the words of this command)')
    .addHelpText('after', `\nexample: branchbox ${example}`)
    .exitOverride();
  for (const { name, summary, load } of COMMANDS) {
    if (isNamed(name)) (await load()).register(program);
    else program.command(name).description(summary);
  }
  return program;
}
