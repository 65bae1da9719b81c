/**
 * Owns the whole command line as commander was told it, every command loaded, and whether given words fit it: so that
 * what --help and the docs show can be held against what there is.
 */
import type { Command, Option } from 'commander';
import { createProgram } from '../../../src/cli/program.ts';

export const loadCommandLine = (): Promise<Command> => createProgram(() => true);

/** It and all below it. */
export function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** `branchbox fleet usb`. */
export function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

export function helpOf(command: Command): string {
  let text = '';
  const keep = (words: string): void => {
    text += words;
  };
  command.configureOutput({ writeOut: keep, getOutHelpWidth: () => 1_000 });
  command.outputHelp();
  return text;
}

export interface Fit {
  readonly command: Command;
  readonly given: readonly Option[];
  readonly values: readonly string[];
  /** What stands behind `--`, for somebody else. */
  readonly passedOn: readonly string[];
}

/** The words behind `branchbox`. Throws where one of them is none of the command line. */
export function fit(root: Command, words: readonly string[]): Fit {
  let command = root;
  const given: Option[] = [];
  const values: string[] = [];
  const end = words.includes('--') ? words.indexOf('--') : words.length;
  for (let at = 0; at < end; at += 1) {
    const word = words[at] ?? '';
    if (word.startsWith('-')) {
      const [flag] = word.split('=');
      if (flag === '--help') continue;
      const option = command.options.find(({ long, short }) => long === flag || short === flag);
      if (option === undefined) throw new Error(`${nameOf(command)} has no ${flag ?? ''}`);
      given.push(option);
      if (!(option.required || option.optional) || word.includes('=')) continue;
      do at += 1;
      while (option.variadic && at + 1 < end && !(words[at + 1] ?? '').startsWith('-'));
      continue;
    }
    const below = command.commands.find((one) => one.name() === word);
    if (below !== undefined && values.length === 0) command = below;
    else values.push(word);
  }
  const { registeredArguments: places } = command;
  const most = places.some(({ variadic }) => variadic) ? Number.POSITIVE_INFINITY : places.length;
  if (values.length > most) throw new Error(`${nameOf(command)} takes no "${values[most] ?? ''}"`);
  return { command, given, values, passedOn: words.slice(end + 1) };
}

/** Of whole words, not of some that a text leaves out. Throws where one that is needed is missing. */
export function fitWhole(root: Command, words: readonly string[]): Fit {
  const found = fit(root, words);
  const { command, given, values, passedOn } = found;
  const missing = command.options.find((option) => option.mandatory && !given.includes(option));
  if (missing !== undefined) throw new Error(`${nameOf(command)} needs ${missing.flags}`);
  const place = command.registeredArguments.filter(({ required }) => required)[
    values.length + passedOn.length
  ];
  if (place !== undefined) throw new Error(`${nameOf(command)} needs ${place.name()}`);
  return found;
}
