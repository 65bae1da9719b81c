/**
 * Owns the notes of what was applied, for kinds whose objects cannot be read back as they were written (nft rules)
 * or carry no mark (sysctls). In /run: gone with the kernel state they are about.
 * A note is never taken for the state of the box: each reader holds it against the kernel.
 */
import { z } from 'zod';
import type { System } from '../system/ports.ts';

const DIRECTORY = '/run/branchbox/applied';
const MAX_BYTES = 32 * 1024 * 1024;

export interface AppliedNotes<T> {
  /** Empty where there are none, or none that can be read: then everything of the kind is applied once more. */
  read(): Promise<ReadonlyMap<string, T>>;
  /** Sets some, and removes those given as undefined. */
  change(changes: ReadonlyMap<string, T | undefined>): Promise<void>;
}

export function createAppliedNotes<S extends z.ZodType>(
  files: Pick<System['files'], 'readText' | 'writeDurable'>,
  name: string,
  schema: S,
): AppliedNotes<z.output<S>> {
  const path = `${DIRECTORY}/${name}.json`;
  const File = z.record(z.string(), schema);
  const read = async (): Promise<Map<string, z.output<S>>> => {
    const text = await files.readText(path, MAX_BYTES);
    if (text === undefined) return new Map();
    try {
      return new Map(Object.entries(File.parse(JSON.parse(text))));
    } catch {
      return new Map();
    }
  };
  /** Changes of one process queue up; a box has one agent. */
  let queue: Promise<void> = Promise.resolve();
  return {
    read,
    change(changes) {
      const write = async (): Promise<void> => {
        if (changes.size === 0) return;
        const notes = await read();
        for (const [key, note] of changes) {
          if (note === undefined) notes.delete(key);
          else notes.set(key, note);
        }
        await files.writeDurable(path, JSON.stringify(Object.fromEntries(notes)));
      };
      queue = queue.then(write, write);
      return queue;
    },
  };
}
