/**
 * Owns the words of `branchbox plan`: what the agent would do now, as text.
 */
import type { Command } from 'commander';
import { LocalPlan } from '../model/localStatus.ts';
import { askAgent } from './askAgent.ts';
import { print } from './terminal.ts';

export function register(program: Command): void {
  program
    .command('plan')
    .description('what would change on this box, made now from what is there')
    .option('--json', 'for programs: one JSON object')
    .addHelpText(
      'after',
      '\n+ created  ~ modified  - deleted  ! waits for something  ? cannot be seen\n\nexample: branchbox plan',
    )
    .action(async (flags: { readonly json?: boolean }) => {
      const plan = await askAgent('/plan', LocalPlan);
      print(flags.json === true ? JSON.stringify(plan) : plan.text);
    });
}
