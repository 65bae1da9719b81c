/**
 * Owns making a file, or a directory's entries, durable: after a rename only the directory's sync keeps the new name
 * through a power cut. Does not own what is written.
 */
import { open } from 'node:fs/promises';

export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
