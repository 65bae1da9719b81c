/**
 * Owns a world on disk in which a script of the box runs on one hostile input: what it may reach is made for it, and what it
 * changed is told. Text is latin1 throughout: a character is a byte, as names and environments have them.
 * Does not own what a script may do (parsersScripts.ts).
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytesOf, type Entry, grow } from './growTree.ts';

const FIRMWARE = fileURLToPath(new URL('../../firmware', import.meta.url));
/** However busy the machine is: the units allow a minute. */
const MAX_RUN_MS = 30_000;
const MAX_SAID = 1024 * 1024;
/** What is larger is told apart by its size alone. */
const MAX_READ_BYTES = 1024 * 1024;

export interface World {
  /** What stands for `/` of the box; empty at the start. */
  readonly root: string;
  put(path: string, content: string): void;
  /** Below `path`; what cannot be made is left out. Nothing is made through a link. */
  grow(path: string, tree: readonly Entry[]): void;
  /** What it said; rejects where it does not end by itself with 0 or 1. */
  run(
    script: string,
    words: readonly string[],
    environment?: Readonly<Record<string, string>>,
  ): Promise<string>;
  /** By path below the root: what is there now and was not, or not so, before the first run. `gone` where it is not now. */
  changes(): ReadonlyMap<string, 'directory' | 'file' | 'gone' | 'other'>;
  read(path: string): string | undefined;
  modeOf(path: string): number;
  /** Call it in the end: throws where something of the input was carried out, or written outside the root. */
  close(): void;
}

interface ScriptBench {
  within<T>(use: (world: World) => Promise<T>): Promise<T>;
}

export function createScriptBench(options: {
  /** Where they are; default the firmware's. */
  readonly from?: string;
  /** By name: paths in it that are below the root here. */
  readonly scripts: Readonly<Record<string, readonly string[]>>;
  /** Commands that stand for those which would need a machine; `$WORLD` is the root. */
  readonly commands: Readonly<Record<string, string>>;
}): ScriptBench {
  function fill(directory: string, root: string): void {
    for (const name of ['lib', 'bin', 'at', 'world']) mkdirSync(join(directory, name));
    for (const [script, moved] of Object.entries(options.scripts)) {
      let text = readFileSync(join(options.from ?? FIRMWARE, script), 'utf8');
      for (const path of moved) text = text.replaceAll(path, `${root}${path}`);
      text = text.replaceAll('/usr/lib/branchbox', join(directory, 'lib'));
      writeFileSync(join(directory, 'lib', script), text, { mode: 0o755 });
    }
    // Carried out, whatever the way: words of an input call it.
    const commands = { pwned: `: >${directory}/at/pwned`, ...options.commands };
    for (const [name, text] of Object.entries(commands)) {
      writeFileSync(join(directory, 'bin', name), `#!/bin/sh\nWORLD=${root}\n${text}\n`, { mode: 0o755 });
    }
  }

  return {
    async within(use) {
      const directory = mkdtempSync(join(tmpdir(), 'branchbox-fuzz-'));
      const root = join(directory, 'world');
      const heard: string[] = [];
      try {
        fill(directory, root);
        const world = open(directory, root, heard);
        const result = await use(world);
        world.close();
        return result;
      } catch (thrown) {
        if (!(thrown instanceof Error)) throw thrown;
        throw new Error(`${thrown.message}; said: ${heard.join('').slice(-300)}`, { cause: thrown });
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
}

function open(directory: string, root: string, heard: string[]): World {
  let before: ReadonlyMap<string, string> | undefined;
  const outside = (): string =>
    [...snapshot(directory)]
      .filter(([path]) => !path.startsWith('world'))
      .map((pair) => pair.join(' '))
      .toSorted()
      .join('\n');
  let outsideBefore = '';
  return {
    root,
    put(path, content) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content, 'latin1');
    },
    grow(path, tree) {
      mkdirSync(join(root, path), { recursive: true });
      for (const entry of tree) grow(join(root, path), entry);
    },
    async run(script, words, environment = {}) {
      before ??= snapshot(root);
      outsideBefore ||= outside();
      const lines = [
        `cd ${directory}/at`,
        `PATH=${directory}/bin:$PATH`,
        ...Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}`),
        `exec /bin/sh ${[`${directory}/lib/${script}`, ...words].map(quoted).join(' ')}`,
      ];
      const call = join(directory, 'call');
      writeFileSync(call, `${lines.join('\n')}\n`, 'latin1');
      const { said, problem } = await callOf(call);
      rmSync(call);
      heard.push(said);
      if (problem !== undefined) throw new Error(`${script} ${problem}`);
      return said;
    },
    changes() {
      const now = snapshot(root);
      const was = before ?? new Map<string, string>();
      const found = [...now].filter(([path, what]) => was.get(path) !== what);
      const gone = [...was.keys()].filter((path) => !now.has(path));
      return new Map([
        ...found.map(([path, what]) => [path, KINDS[what.charAt(0)] ?? ('other' as const)] as const),
        ...gone.map((path) => [path, 'gone'] as const),
      ]);
    },
    read(path) {
      try {
        return readFileSync(bytesOf(join(root, path)), 'latin1');
      } catch {
        return undefined;
      }
    },
    modeOf: (path) => lstatSync(bytesOf(join(root, path))).mode & 0o7777,
    close() {
      if (outsideBefore !== '' && outside() !== outsideBefore) {
        throw new Error('words of the input were carried out, or it wrote outside its world');
      }
    },
  };
}

async function callOf(
  call: string,
): Promise<{ readonly said: string; readonly problem: string | undefined }> {
  const child = spawn('/bin/sh', [call], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: what it began ends with it, or a file without end would go on filling the disk.
    detached: true,
  });
  let said = '';
  let problem: string | undefined;
  const stop = (why: string): void => {
    problem ??= why;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('latin1').on('data', (text: string) => {
      said = (said + text).slice(0, MAX_SAID);
      if (said.length === MAX_SAID) stop('says too much');
    });
  }
  const timer = setTimeout(() => stop(`does not end within ${MAX_RUN_MS} ms`), MAX_RUN_MS);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  if (problem === undefined && code !== 0 && code !== 1) problem = `ended with ${code ?? signal}`;
  return { said, problem };
}

const KINDS: Readonly<Record<string, 'directory' | 'file'>> = { d: 'directory', f: 'file' };

/** By path below `top`: kind, mode and content of everything there. */
function snapshot(top: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const walk = (below: string): void => {
    for (const name of readdirSync(bytesOf(join(top, below)), 'latin1')) {
      const path = below === '' ? name : `${below}/${name}`;
      const at = bytesOf(`${top}/${path}`);
      const stat = lstatSync(at);
      if (stat.isDirectory()) {
        found.set(path, `d ${stat.mode}`);
        walk(path);
      } else if (stat.isFile()) {
        const content =
          stat.size > MAX_READ_BYTES ? '' : createHash('sha256').update(readFileSync(at)).digest('base64');
        found.set(path, `f ${stat.mode} ${stat.size} ${content}`);
      } else found.set(path, `o ${stat.mode} ${stat.isSymbolicLink() ? readlinkSync(at, 'latin1') : ''}`);
    }
  };
  walk('');
  return found;
}

/** One word of the shell. */
const quoted = (word: string): string => `'${word.replaceAll('\0', '').replaceAll("'", "'\\''")}'`;
