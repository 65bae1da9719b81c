/**
 * Owns the note that a version leaves beside its parts (branchbox-VERSION.inputs): of which inputs they were made, and
 * how large each is. By it the next build takes them as they are, where all are there and whole.
 * Does not own what the inputs are (assemble.ts, staging.ts).
 */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { tryJson } from '../src/model/decode.ts';

const Note = z.strictObject({
  /** Digest. */
  inputs: z.string(),
  /** 64 hexadecimal digits. */
  rootHash: z.string(),
  /** In bytes, by plain name. */
  sizes: z.record(z.string(), z.int()),
});
type Note = z.output<typeof Note>;

/** Last of all: what it vouches for is there. */
export async function noteMade(
  path: string,
  { inputs, rootHash }: Pick<Note, 'inputs' | 'rootHash'>,
  parts: readonly string[],
): Promise<void> {
  const sizes: Record<string, number> = {};
  for (const part of parts) sizes[basename(part)] = (await stat(part)).size;
  await writeFile(path, `${JSON.stringify({ inputs, rootHash, sizes } satisfies Note)}\n`);
}

/**
 * The root hash of what was made of the same inputs. undefined: nothing was, or one of the parts is gone, or of another
 * size: taken away, cut short by a full disk or a power cut, replaced.
 */
export async function madeBefore(
  path: string,
  inputs: string,
  parts: readonly string[],
): Promise<string | undefined> {
  // One of an earlier build of Branchbox, or half a one, is none.
  const note = Note.safeParse(tryJson(await readFile(path, 'utf8').catch(() => ''))).data;
  if (note?.inputs !== inputs) return undefined;
  for (const part of parts) {
    const found = await stat(part).catch(() => undefined);
    if (found?.isFile() !== true || found.size !== note.sizes[basename(part)]) return undefined;
  }
  return note.rootHash;
}
