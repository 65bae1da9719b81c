/**
 * Owns what a hostile medium holds: making links, pipes, devices and names that nobody would choose, and making nothing through
 * a link. Names are latin1: a character is a byte.
 */
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';

/** A thing on a medium. */
export interface Entry {
  readonly at: string;
  readonly kind: 'file' | 'directory' | 'link' | 'pipe' | 'device';
  readonly content?: string;
  /** A file with a hole up to there. */
  readonly size?: number;
  readonly to?: string;
}

/** What cannot be made is left out: a name that no file system takes is on no medium. */
export function grow(top: string, entry: Entry): void {
  const names = entry.at.split('/').filter((name) => !['', '.', '..'].includes(name) && !name.includes('\0'));
  const last = names.pop();
  if (last === undefined) return;
  let parent = top;
  try {
    for (const name of names) {
      parent = `${parent}/${name}`;
      mkdirSync(bytesOf(parent), { recursive: true });
      if (!lstatSync(bytesOf(parent)).isDirectory()) return;
    }
    const at = bytesOf(`${parent}/${last}`);
    // What was there first stays: a medium has each name once.
    if (lstatSync(at, { throwIfNoEntry: false }) !== undefined) return;
    switch (entry.kind) {
      case 'file':
        writeFileSync(at, entry.content ?? '', 'latin1');
        if (entry.size !== undefined) truncateSync(at, entry.size);
        break;
      case 'directory':
        mkdirSync(at);
        break;
      case 'link':
        symlinkSync(bytesOf((entry.to ?? '').replaceAll('\0', '') || '.'), at);
        break;
      case 'pipe':
        spawnSync('mkfifo', ['--', `${parent}/${last}`]);
        break;
      case 'device':
        // /dev/zero: without end for who reads it. Only root makes one.
        spawnSync('mknod', ['--', `${parent}/${last}`, 'c', '1', '5']);
        break;
    }
  } catch {
    // As said.
  }
}

export const bytesOf = (path: string): Buffer => Buffer.from(path, 'latin1');
