/** Owns what is said of a published file: its name, size and digest. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';

export interface Artefact {
  /** Plain name in the output directory. */
  readonly file: string;
  readonly sizeBytes: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

export async function describe(path: string): Promise<Artefact> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return { file: basename(path), sizeBytes: (await stat(path)).size, sha256: hash.digest('hex') };
}
