/**
 * Owns which root tree the nodes run from: named by a digest of its recipe, made when it is not there.
 * Does not own the recipe (image/make-root.sh, image/packages.txt).
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import type { Runner } from '../system/ports.ts';
import { CACHE_DIRECTORY, CHECKOUT } from './paths.ts';

const RECIPE = join(CHECKOUT, 'image/make-root.sh');
const PACKAGES = join(CHECKOUT, 'image/packages.txt');
/** 30 s on a good connection; a slow mirror is no failure. */
const MAKE_TIMEOUT_MS = 20 * 60_000;

export function rootTreePath(): string {
  const digest = createHash('sha256')
    .update(readFileSync(PACKAGES))
    .update(readFileSync(RECIPE))
    .digest('hex');
  return join(CACHE_DIRECTORY, `root-${digest.slice(0, 12)}`);
}

export const rootTreeExists = (): boolean => existsSync(rootTreePath());

export async function ensureRootTree(runner: Runner, say: (line: string) => void): Promise<string> {
  const tree = rootTreePath();
  if (existsSync(tree)) return tree;
  const mirror = mirrorLines(aptSources(), 'trixie');
  say(`making the Debian 13 tree that nodes run from, once: ${tree}`);
  const scratch = await mkdtemp(join(tmpdir(), 'branchbox-sources-'));
  try {
    const sources = join(scratch, 'sources.list');
    if (mirror.length > 0) {
      await writeFile(sources, `${mirror.join('\n')}\n`);
      const made = await runner.run(RECIPE, [tree, PACKAGES, sources], { timeoutMs: MAKE_TIMEOUT_MS });
      if (made.exitCode === 0) return tree;
      // This machine's mirror may hold its own release alone.
      say('this machine\u2019s mirror does not have all of it; trying Debian\u2019s default mirror');
    }
    const made = await runner.run(RECIPE, [tree, PACKAGES], { timeoutMs: MAKE_TIMEOUT_MS });
    if (made.exitCode === 0) return tree;
    throw new BranchboxError('lab/missing-capability', {
      message: `the Debian 13 tree could not be made: ${made.stderr.trim().slice(-600)}`,
      mend: 'the machine must reach a Debian mirror by its own apt settings',
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** All of the machine's apt sources, as text. */
export function aptSources(): string {
  const directory = '/etc/apt/sources.list.d';
  const files = existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  return ['/etc/apt/sources.list', ...files]
    .filter((file) => existsSync(file) && /\.(list|sources)$/.test(file))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n\n');
}

/**
 * Lines for a release of Debian from the mirrors that the machine itself uses for Debian: those that end in `/debian`,
 * and `/debian-security`, in the one-line or the deb822 form. Pure.
 */
export function mirrorLines(sources: string, release: string): string[] {
  const text = sources.replace(/^\s*#.*$/gm, '');
  const uris = [...text.matchAll(/https?:\/\/[^\s\]]+/g)].map(([uri]) => uri.replace(/\/+$/, ''));
  const main = uris.find((uri) => uri.endsWith('/debian'));
  const security = uris.find((uri) => uri.endsWith('/debian-security'));
  if (main === undefined) return [];
  const lines = [`deb ${main} ${release} main`, `deb ${main} ${release}-updates main`];
  return security === undefined ? lines : [...lines, `deb ${security} ${release}-security main`];
}
