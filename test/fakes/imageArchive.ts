/**
 * Owns small archives as tar(1) writes them: one that a controller takes for an app's image, though no engine would run what
 * is in it, and others by the names in them.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The same bytes every time, of whole blocks and no more: it is sent to servers that take little. */
const WORDS = ['--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--blocking-factor=1'];

export function archiveOf(files: Readonly<Record<string, string>>, ...words: readonly string[]): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'bbt-archive-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), content);
    }
    return execFileSync('tar', [...WORDS, ...words, '-cC', directory, ...Object.keys(files)]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export const imageArchive = (): Buffer => archiveOf({ 'layer.tar': 'a layer', 'manifest.json': '[]' });
