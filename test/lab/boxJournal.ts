/**
 * Owns waiting for what a box of a test comes to, by its files: its journal, and whatever else it writes.
 */
import { watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Journal } from '../../src/model/bootstrap.ts';
import { readText } from './bootstrapWorld.ts';

/** States in the order in which they were entered. */
export async function journalOf(box: string): Promise<readonly string[]> {
  const text = await readText(join(box, 'identity/journal.json')).catch(() => undefined);
  return text === undefined ? [] : Journal.parse(JSON.parse(text)).entries.map(({ state }) => state);
}

/** Looks at each change of the box's files. */
export async function until(box: string, reached: () => Promise<boolean>): Promise<void> {
  await mkdir(join(box, 'identity'), { recursive: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const look = (): void => {
    reached().then((yes) => (yes ? resolve() : undefined), reject);
  };
  const watcher = watch(join(box, 'identity'), look);
  look();
  try {
    await promise;
  } finally {
    watcher.close();
  }
}
export const untilState = (box: string, stop: (states: readonly string[]) => boolean): Promise<void> =>
  until(box, async () => stop(await journalOf(box)));
export const last = (state: string) => (states: readonly string[]) => states.at(-1) === state;
