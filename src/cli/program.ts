/**
 * Owns the root of the command line: what `branchbox --help` says, and that of all commands only the one that is called
 * is loaded. Does not own any command (commands.ts names their files) nor how it ends (main.ts).
 */
import { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { COMMANDS } from './commands.ts';

/** `isNamed`: whose words are known in full; of the others there is one line. */
export async function createProgram(isNamed: (command: string) => boolean): Promise<Command> {
  // What a box has not is no example there.
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
