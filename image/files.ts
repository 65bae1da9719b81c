/** Owns walking a directory: regular files and links below it, in the order of their paths; no link is followed. */
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface FoundFile {
  readonly entry: Dirent;
  readonly path: string;
}

export async function filesBelow(directory: string): Promise<readonly FoundFile[]> {
  const found: FoundFile[] = [];
  const entries = await readdir(directory, { withFileTypes: true });
  for (const entry of entries.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) found.push(...(await filesBelow(path)));
    else if (entry.isFile() || entry.isSymbolicLink()) found.push({ entry, path });
  }
  return found;
}
