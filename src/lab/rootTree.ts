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
/** 30 s on a good connection; a slow mirror is no failure. */
const MAKE_TIMEOUT_MS = 20 * 60_000;

interface Tree {
  readonly kind: string;
  readonly packages: string;
  readonly what: string;
}
const ROOT: Tree = {
  kind: 'root',
  packages: join(CHECKOUT, 'image/packages.txt'),
  what: 'the Debian 13 tree that nodes run from',
};
const SYSTEMD: Tree = {
  kind: 'systemd',
  packages: join(CHECKOUT, 'image/packages-systemd.txt'),
  what: 'the systemd that judges and tries the units',
};

export const rootTreePath = (): string => treePath(ROOT);
export const systemdTreePath = (): string => treePath(SYSTEMD);

export const rootTreeExists = (): boolean => existsSync(rootTreePath());

export const ensureRootTree = (runner: Runner, say: (line: string) => void): Promise<string> =>
  ensureTree(ROOT, runner, say);
export const ensureSystemdTree = (runner: Runner, say: (line: string) => void): Promise<string> =>
  ensureTree(SYSTEMD, runner, say);

function treePath({ kind, packages }: Tree): string {
  const digest = createHash('sha256')
    .update(readFileSync(packages))
    .update(readFileSync(RECIPE))
    .digest('hex');
  return join(CACHE_DIRECTORY, `${kind}-${digest.slice(0, 12)}`);
}

async function ensureTree(wanted: Tree, runner: Runner, say: (line: string) => void): Promise<string> {
  const tree = treePath(wanted);
  if (existsSync(tree)) return tree;
  const mirror = mirrorLines(aptSources(), 'trixie');
  say(`making ${wanted.what}, once: ${tree}`);
  const scratch = await mkdtemp(join(tmpdir(), 'branchbox-sources-'));
  try {
    const sources = join(scratch, 'sources.list');
    if (mirror.length > 0) {
      await writeFile(sources, `${mirror.join('\n')}\n`);
      const made = await runner.run(RECIPE, [tree, wanted.packages, sources], { timeoutMs: MAKE_TIMEOUT_MS });
      if (made.exitCode === 0) return tree;
      // This machine's mirror may hold its own release alone.
      say('this machine\u2019s mirror does not have all of it; trying Debian\u2019s default mirror');
    }
    const made = await runner.run(RECIPE, [tree, wanted.packages], { timeoutMs: MAKE_TIMEOUT_MS });
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
