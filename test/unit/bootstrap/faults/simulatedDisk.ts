/**
 * Owns a disk that loses what was not synced, below the box's real file port: the few calls of node:fs/promises that
 * src/system/linux/files.ts makes. Every change is recorded, so that the disk can be had as a power cut behind any of
 * them would have left it. Does not own who writes what.
 *
 * Modelled: a file's content counts once the file was synced; a name (made, renamed, removed, or a directory) counts
 * once its directory was. Of what was not synced when the power went, a seeded coin decides each by itself, in no order;
 * a content may be there, missing or torn. Not modelled: a disk that lies about a sync, damage of what was durable.
 */
import { basename, dirname } from 'node:path';
import { seededRandom } from '../../../vm/power/plan.ts';

type Change =
  | {
      readonly kind: 'name';
      readonly path: string;
      readonly node: number | undefined;
      readonly gone?: string;
    }
  | { readonly kind: 'content'; readonly node: number; readonly bytes: Buffer }
  | { readonly kind: 'sync'; readonly node: number };

/** Names of a disk: a file by its content, a directory by none. */
export type DiskImage = ReadonlyMap<string, Buffer | undefined>;

const noEntry = (path: string): Error => Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
const exists = (path: string): Error => Object.assign(new Error(`EEXIST: ${path}`), { code: 'EEXIST' });

export class SimulatedDisk {
  readonly #changes: Change[] = [];
  readonly #names = new Map<string, number>();
  readonly #contents = new Map<number, Buffer>();
  readonly #directories = new Set<number>();
  #nodes = 0;
  /** As it was before anything was recorded, all durable. */
  readonly #image: DiskImage;

  constructor(image: DiskImage) {
    this.#image = image;
    for (const [path, content] of image) this.#names.set(path, this.#nodeOf(content));
  }

  get changes(): number {
    return this.#changes.length;
  }
  describe(count: number): string {
    const change = this.#changes[count - 1];
    return change === undefined
      ? 'nothing'
      : change.kind === 'name'
        ? `${change.kind} ${basename(change.path)}`
        : change.kind;
  }
  /** Whole, as a reader sees it now. */
  now(): DiskImage {
    return new Map([...this.#names].map(([path, node]) => [path, this.#contents.get(node)]));
  }

  /** After the first `count` changes, and a cut; seed 0: a kill alone, which loses nothing. */
  afterCut(count: number, seed: number): DiskImage {
    const random = seed === 0 ? () => 0 : seededRandom(seed * 1_000_003 + count);
    const replay = new SimulatedDisk(this.#image);
    const durable = new Map(replay.#names);
    const contents = new Map(replay.#contents);
    const written = new Map<number, Buffer>();
    let waiting: (Change & { readonly kind: 'name' })[] = [];
    const apply = ({ path, node, gone }: Change & { readonly kind: 'name' }): void => {
      if (gone !== undefined) durable.delete(gone);
      if (node === undefined) durable.delete(path);
      else durable.set(path, node);
    };
    for (const change of this.#changes.slice(0, count)) {
      if (change.kind === 'content') written.set(change.node, change.bytes);
      else if (change.kind === 'name') waiting.push(change);
      else if (this.#directories.has(change.node)) {
        const inIt = (path: string): boolean => this.#pathOf(change.node) === dirname(path);
        for (const name of waiting) if (inIt(name.path)) apply(name);
        waiting = waiting.filter(({ path }) => !inIt(path));
      } else {
        const bytes = written.get(change.node);
        if (bytes !== undefined) contents.set(change.node, bytes);
        written.delete(change.node);
      }
    }
    for (const name of waiting) if (random() < 0.5) apply(name);
    for (const [node, bytes] of written) {
      const kept = [bytes, Buffer.alloc(0), bytes.subarray(0, Math.floor(random() * bytes.length))];
      contents.set(node, kept[Math.floor(random() * 3)] ?? bytes);
    }
    const image = new Map<string, Buffer | undefined>();
    for (const [path, node] of [...durable].toSorted(([left], [right]) => left.length - right.length)) {
      // What lies in a directory that is not there is lost with it.
      if (!image.has(dirname(path)) && dirname(path) !== '/') continue;
      image.set(path, this.#directories.has(node) ? undefined : (contents.get(node) ?? Buffer.alloc(0)));
    }
    return image;
  }

  readonly fs = {
    mkdir: async (path: string): Promise<void> => {
      if (path === '/' || this.#names.has(path)) throw exists(path);
      if (dirname(path) !== '/' && !this.#names.has(dirname(path))) throw noEntry(path);
      this.#name(path, this.#nodeOf(undefined));
    },
    open: async (path: string, flags: string) => {
      if (flags === 'wx') this.#name(path, this.#nodeOf(Buffer.alloc(0)));
      const node = this.#names.get(path);
      if (node === undefined) throw noEntry(path);
      let at = 0;
      return {
        chmod: async (): Promise<void> => {},
        close: async (): Promise<void> => {},
        writeFile: async (content: string | Uint8Array): Promise<void> => {
          const bytes = Buffer.from(content);
          this.#contents.set(node, bytes);
          this.#record({ kind: 'content', node, bytes });
        },
        sync: async (): Promise<void> => this.#record({ kind: 'sync', node }),
        read: async (buffer: Buffer): Promise<{ bytesRead: number; buffer: Buffer }> => {
          const bytesRead = (this.#contents.get(node) ?? Buffer.alloc(0)).copy(buffer, 0, at);
          at += bytesRead;
          return { bytesRead, buffer };
        },
      };
    },
    rename: async (from: string, to: string): Promise<void> => {
      const node = this.#names.get(from);
      if (node === undefined) throw noEntry(from);
      this.#names.delete(from);
      this.#name(to, node, from);
    },
    rm: async (path: string, options?: { readonly force?: boolean }): Promise<void> => {
      if (!this.#names.delete(path)) {
        if (options?.force === true) return;
        throw noEntry(path);
      }
      this.#record({ kind: 'name', path, node: undefined });
    },
    readdir: async (path: string): Promise<string[]> => {
      if (!this.#names.has(path)) throw noEntry(path);
      return [...this.#names.keys()].filter((name) => dirname(name) === path).map((name) => basename(name));
    },
  };

  #nodeOf(content: Buffer | undefined): number {
    this.#nodes += 1;
    if (content === undefined) this.#directories.add(this.#nodes);
    else this.#contents.set(this.#nodes, content);
    return this.#nodes;
  }
  #pathOf(node: number): string | undefined {
    return [...this.#names].find(([, other]) => other === node)?.[0];
  }
  #name(path: string, node: number, gone?: string): void {
    this.#names.set(path, node);
    this.#record({ kind: 'name', path, node, ...(gone !== undefined && { gone }) });
  }
  #record(change: Change): void {
    this.#changes.push(change);
  }
}
