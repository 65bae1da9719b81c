/**
 * Owns the words of `branchbox explain`: why one item is as it is, and which there are.
 */
import type { Command } from 'commander';
import { Explanation, ItemList } from '../model/localStatus.ts';
import { askAgent } from './askAgent.ts';
import { renderTable } from './table.ts';
import { print } from './terminal.ts';

export function register(program: Command): void {
  program
    .command('explain')
    .description('why an item is as it is: wanted, observed, what it stands on, what went wrong')
    .argument('[item]', 'an id such as link:br-10010; without one, every id of this box with its state')
    .option('--json', 'for programs: one JSON object')
    .addHelpText('after', '\nexample: branchbox explain link:br-10010\nexample: branchbox explain')
    .action(async (item: string | undefined, flags: { readonly json?: boolean }) => {
      if (item === undefined) {
        const list = await askAgent('/items', ItemList);
        const rows = list.items.map(({ id, state, sentence }) => [id, state, sentence]);
        print(
          flags.json === true ? JSON.stringify(list) : renderTable(['item', 'state', 'why'], rows).join('\n'),
        );
        return;
      }
      const answer = await askAgent(`/explain?item=${encodeURIComponent(item)}`, Explanation);
      print(flags.json === true ? JSON.stringify(answer) : describe(answer).join('\n'));
      if (answer.state === 'unknown') process.exitCode = 1;
    });
}

/** Pure. */
export function describe(answer: Explanation): readonly string[] {
  const lines = [`${answer.id}: ${answer.state}`, `  ${answer.sentence}`];
  for (const id of answer.nearest ?? []) lines.push(`  near: ${id}`);
  if (answer.mend !== undefined) lines.push(`  mend: ${answer.mend}`);
  if (answer.owner !== undefined) lines.push(`  owner     ${answer.owner}`);
  if (answer.wanted !== undefined) lines.push(`  wanted    ${JSON.stringify(answer.wanted)}`);
  if (answer.observed !== undefined) lines.push(`  observed  ${JSON.stringify(answer.observed)}`);
  if (answer.lastError !== undefined)
    lines.push(`  error     ${answer.lastError.replaceAll('\n', '\n            ')}`);
  const needs = answer.needs.map((need) => [need.id, need.state, need.sentence ?? '']);
  if (needs.length > 0) lines.push('needs', ...renderTable(['item', 'state', 'why'], needs));
  if (answer.neededBy.length > 0) lines.push('needed by', ...answer.neededBy.map((id) => `  ${id}`));
  return lines;
}
