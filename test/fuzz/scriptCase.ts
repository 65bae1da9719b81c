/**
 * Owns what all scripts of the box are held to as parsers: a case in JSON, and what of their world they may have changed.
 */
import type { z } from 'zod';
import type { Chance } from './chance.ts';
import type { Mutate } from './mutateBytes.ts';
import type { FuzzParser } from './parser.ts';
import { json, utf8 } from './samples.ts';
import type { World } from './scriptBench.ts';

export const LEASES = 'run/branchbox/leases';
export const MEDIA = 'run/branchbox/media';
export const FACTORY = 'etc/branchbox/factory';
/** Of a file that no script may read for an input. */
export const SECRET = 'secret of the box';

export type Script = Pick<FuzzParser, 'covers' | 'samples' | 'mutate' | 'parse'>;

export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
/** All that was changed is a file that the check takes, or a directory above one. */
export function onlyFiles(world: World, check: (path: string) => boolean): readonly string[] {
  const files: string[] = [];
  for (const [path, what] of world.changes()) {
    if (what === 'directory') must(/^(run|etc)(\/|$)/.test(path), `made the directory ${path}`);
    else {
      must(what === 'file' && check(path), `left ${path} (${what})`);
      files.push(path);
    }
  }
  return files;
}

/** No longer than they may be, readable by root alone where it must be, and nothing of the box in them. */
export function capped(world: World, paths: readonly string[], maxBytes: number): void {
  for (const path of paths) {
    const text = world.read(path) ?? '';
    must(text.length <= maxBytes, `${path} has ${text.length} bytes`);
    must(!text.includes(SECRET) && !text.startsWith('root:'), `${path} has what is no part of the input`);
  }
}

export const covering = (scripts: Readonly<Record<string, unknown>>): readonly string[] =>
  Object.keys(scripts).map((name) => `firmware/${name}`);

/** undefined where it was cut: no case then. */
export function parsed(input: Uint8Array): unknown {
  try {
    return JSON.parse(utf8(input));
  } catch {
    return undefined;
  }
}

export const jsonOf =
  <T>(schema: z.ZodType<T>, bend: (sample: T, chance: Chance) => T): Mutate =>
  (sample, chance) =>
    json(bend(schema.parse(parsed(sample)), chance));
