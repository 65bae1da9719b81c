/**
 * Owns finding units: which file and which drop-ins make a unit of a name, and what a target pulls in.
 * Does not own their meaning (unitFile.ts). Reads the disk anew each time, as after `daemon-reload`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ParsedUnit, parseUnit } from './unitFile.ts';

export interface UnitSet {
  /** undefined where no directory has the unit, nor the template it is an instance of. */
  load(name: string): ParsedUnit | undefined;
  /** Units whose [Install] section names the target, sorted. Templates are nobody's by themselves. */
  wantedBy(target: string): readonly string[];
  /** Every unit file there is, templates included. */
  names(): readonly string[];
}

/** `directories`: the first that has a unit's file wins; drop-ins are gathered from all. */
export function createUnitSet(directories: readonly string[]): UnitSet {
  const load = (name: string): ParsedUnit | undefined => {
    const template = templateOf(name);
    const candidates = template === undefined ? [name] : [name, template];
    for (const candidate of candidates) {
      const directory = directories.find((each) => existsSync(join(each, candidate)));
      if (directory === undefined) continue;
      const dropIns = [...new Set([template ?? name, name])].flatMap((each) => dropInsOf(directories, each));
      return parseUnit(name, [readFileSync(join(directory, candidate), 'utf8'), ...dropIns]);
    }
    return undefined;
  };
  const names = (): string[] => {
    const files = directories.flatMap((directory) => (existsSync(directory) ? readdirSync(directory) : []));
    return [...new Set(files.filter((file) => /\.(service|target)$/.test(file)))].sort();
  };
  return {
    load,
    names,
    wantedBy: (target) =>
      names().filter((name) => !name.includes('@.') && load(name)?.unit.wantedBy.includes(target) === true),
  };
}

/** `dhcpcd@wan1.service` → `dhcpcd@.service`. */
export function templateOf(name: string): string | undefined {
  const match = /^([^@]+@).+(\.[a-z]+)$/.exec(name);
  return match === null ? undefined : `${match[1]}${match[2]}`;
}

function dropInsOf(directories: readonly string[], name: string): string[] {
  const found: { file: string; text: string }[] = [];
  for (const directory of directories) {
    const folder = join(directory, `${name}.d`);
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder).filter((each) => each.endsWith('.conf'))) {
      found.push({ file, text: readFileSync(join(folder, file), 'utf8') });
    }
  }
  return found.sort((a, b) => (a.file < b.file ? -1 : 1)).map(({ text }) => text);
}
