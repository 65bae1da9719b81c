/**
 * Owns trees of Debian 13: named by a digest of their recipe, kept in one place, made when they are not there.
 * Does not own the recipe itself (make-root.sh, packages*.txt), nor what is made of a tree.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureHostTools } from '../src/lab/hostTools.ts';
import { BranchboxError } from '../src/model/errors.ts';
import type { Runner } from '../src/system/ports.ts';

const MAIN: readonly string[] = ['main'];
const RECIPE = join(import.meta.dirname, 'make-root.sh');
export const CACHE_DIRECTORY = '/var/cache/branchbox';
/** 30 s on a good connection; a slow mirror is no failure. */
const MAKE_TIMEOUT_MS = 20 * 60_000;
/** How much of what a try that failed said a person is shown. */
const LAST_WORDS_CHARACTERS = 600;

export interface Tree {
  /** First part of its name; the digest is the second. */
  readonly name: string;
  /** What it is for, as a sentence says it: "the tree that nodes run from". */
  readonly purpose: string;
  /** Files of this directory, one package a line. */
  readonly packages: readonly string[];
  /** Of Debian's archive; default main alone. */
  readonly components?: readonly string[];
}

/** What the lab's nodes run from: the userland of a gateway. */
export const NODES_TREE: Tree = {
  name: 'root',
  purpose: 'the tree that nodes run from',
  packages: ['packages.txt'],
};
/** What the steps of the recipe run in. */
export const TOOLS_TREE: Tree = {
  name: 'tools',
  purpose: 'the tree of tools that make and try an image',
  packages: ['packages-tools.txt'],
};
/** The userland of a gateway, with what makes it a machine. */
export const IMAGE_TREE: Tree = {
  name: 'image-raw',
  purpose: 'the tree that an image is made of',
  packages: ['packages.txt', 'packages-image.txt'],
  // Microcode and firmware of network cards.
  components: ['main', 'non-free-firmware'],
};

export interface Making {
  readonly runner: Runner;
  readonly say: (line: string) => void;
  /** Where what is made once is kept; default CACHE_DIRECTORY. */
  readonly cache?: string;
}

/** Where something made of these inputs is kept. */
export function cachePath(
  name: string,
  inputs: readonly (string | Uint8Array)[],
  cache = CACHE_DIRECTORY,
): string {
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(input);
  return join(cache, `${name}-${hash.digest('hex').slice(0, 12)}`);
}

export function treePath({ name, packages, components = MAIN }: Tree, cache = CACHE_DIRECTORY): string {
  const lists = packages.map((file) => readFileSync(join(import.meta.dirname, file)));
  return cachePath(name, [...lists, components.join(), readFileSync(RECIPE)], cache);
}

export const treeExists = (tree: Tree): boolean => existsSync(treePath(tree));

/** The tree's path. */
export async function ensureTree(tree: Tree, { runner, say, cache }: Making): Promise<string> {
  const path = treePath(tree, cache);
  if (existsSync(path)) return path;
  await ensureHostTools(runner, say, { forTrees: true });
  const { components = MAIN } = tree;
  const mirror = mirrorLines(aptSources(), 'trixie', components);
  say(`making ${tree.purpose}, of Debian 13, once: ${path}`);
  const scratch = await mkdtemp(join(tmpdir(), 'branchbox-sources-'));
  try {
    const packages = join(scratch, 'packages');
    const lists = tree.packages.map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'));
    await writeFile(packages, lists.join('\n'));
    const failed: FailedTry[] = [];
    const isMadeFrom = async (from: string, ...sources: readonly string[]): Promise<boolean> => {
      const { exitCode, stderr } = await runner.run(RECIPE, [path, packages, components.join(), ...sources], {
        timeoutMs: MAKE_TIMEOUT_MS,
      });
      if (exitCode !== 0) failed.push({ from, stderr });
      return exitCode === 0;
    };
    const sources = join(scratch, 'sources.list');
    if (mirror.length > 0) {
      await writeFile(sources, `${mirror.join('\n')}\n`);
      if (await isMadeFrom('this machine\u2019s mirror', sources)) return path;
      // This machine's mirror may hold its own release alone.
      say('it could not be made from this machine\u2019s mirror; trying Debian\u2019s default mirror');
    }
    if (await isMadeFrom('Debian\u2019s default mirror')) return path;
    throw notMade(failed);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

export interface FailedTry {
  /** As a sentence says it. */
  readonly from: string;
  readonly stderr: string;
}

/** Why of each try: where the machine has no other way out than its own mirror, the last says only that. Pure. */
export const notMade = (failed: readonly FailedTry[]): BranchboxError =>
  new BranchboxError('lab/missing-capability', {
    message: 'the Debian 13 tree could not be made',
    problems: failed.map(({ from, stderr }) => ({
      path: from,
      message: stderr.trim().slice(-LAST_WORDS_CHARACTERS) || 'it does not say why',
    })),
    mend: 'the machine must reach a Debian mirror by its own apt settings',
  });

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
export function mirrorLines(
  sources: string,
  release: string,
  components: readonly string[] = MAIN,
): string[] {
  const text = sources.replace(/^\s*#.*$/gm, '');
  const uris = [...text.matchAll(/https?:\/\/[^\s\]]+/g)].map(([uri]) => uri.replace(/\/+$/, ''));
  const main = uris.find((uri) => uri.endsWith('/debian'));
  const security = uris.find((uri) => uri.endsWith('/debian-security'));
  if (main === undefined) return [];
  const line = (uri: string, suite: string): string => `deb ${uri} ${suite} ${components.join(' ')}`;
  const lines = [line(main, release), line(main, `${release}-updates`)];
  return security === undefined ? lines : [...lines, line(security, `${release}-security`)];
}
