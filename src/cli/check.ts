/**
 * Owns the words of `branchbox check`: what this box's kernel and programs offer, and what is missing for what.
 */
import type { Command } from 'commander';
import { renderKeyHolding } from '../model/keyHolder.ts';
import { LocalCheck } from '../model/localStatus.ts';
import { askAgent } from './askAgent.ts';
import { renderTable } from './table.ts';

export function register(program: Command): void {
  program
    .command('check')
    .description('what this kernel offers, and what is missing for what')
    .option('--json', 'for programs: one JSON object')
    .addHelpText('after', '\nexample: branchbox check --json')
    .action(async (flags: { readonly json?: boolean }) => {
      const check = await askAgent('/check', LocalCheck);
      process.stdout.write(
        flags.json === true ? `${JSON.stringify(check)}\n` : `${describe(check).join('\n')}\n`,
      );
    });
}

/** Pure. */
export function describe(check: LocalCheck): readonly string[] {
  const mark = (present: boolean): string => (present ? 'yes' : 'no');
  return [
    `kernel ${check.kernelRelease}`,
    ...renderTable(
      ['feature', 'here', 'for'],
      check.features.map(({ feature, present, use }) => [feature, mark(present), use]),
    ),
    '',
    'programs',
    ...renderTable(
      ['program', 'here', 'for'],
      check.tools.map(({ tool, present, use }) => [tool, mark(present), use]),
    ),
    '',
    check.engine === undefined
      ? 'no container engine answers: apps wait'
      : `container engine ${check.engine.name} ${check.engine.version}`,
    ...renderKeyHolding(check.keys),
  ];
}
