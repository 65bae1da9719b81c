/**
 * Owns files of the fake box: a map, with /proc/sys beside it and the links of the kernel under /sys/class/net.
 */
import { BranchboxError } from '../../../src/model/errors.ts';
import type { Files } from '../../../src/system/ports.ts';
import type { FakeKernel } from './kernel.ts';

export interface FakeFiles extends Files {
  /** Path to content, of ordinary files. */
  readonly contents: Map<string, string>;
  /** Key (dots as slashes) to value. What is not here the kernel does not have. */
  readonly sysctls: Map<string, string>;
}

const PROC = '/proc/sys/';
const LINKS = '/sys/class/net';

export function createFakeFiles(kernel: FakeKernel): FakeFiles {
  const contents = new Map<string, string>();
  const sysctls = new Map<string, string>();
  const watchers = new Set<{ directory: string; onChange: () => void }>();
  const changed = (path: string): void => {
    for (const { directory, onChange } of watchers) if (path.startsWith(`${directory}/`)) onChange();
  };
  const readText = (path: string): string | undefined => {
    if (path.startsWith(PROC)) {
      const value = sysctls.get(path.slice(PROC.length));
      return value === undefined ? undefined : `${value}\n`;
    }
    const link = new RegExp(`^${LINKS}/([^/]+)/addr_assign_type$`).exec(path)?.[1];
    if (link !== undefined) {
      const found = kernel.links.get(link);
      return found === undefined ? undefined : `${found.macSet ? 3 : 1}\n`;
    }
    return contents.get(path);
  };
  return {
    contents,
    sysctls,
    readText: (path) => Promise.resolve(readText(path)),
    readBytes: (path) => {
      const text = readText(path);
      return Promise.resolve(text === undefined ? undefined : new TextEncoder().encode(text));
    },
    writeDurable(path, content) {
      contents.set(path, typeof content === 'string' ? content : new TextDecoder().decode(content));
      changed(path);
      return Promise.resolve();
    },
    writeKernel(path, content) {
      const key = path.slice(PROC.length);
      if (!path.startsWith(PROC) || !sysctls.has(key)) {
        return Promise.reject(new BranchboxError('system/file', { message: `${path}: no such file` }));
      }
      sysctls.set(key, content);
      return Promise.resolve();
    },
    remove(path) {
      contents.delete(path);
      changed(path);
      return Promise.resolve();
    },
    list(path) {
      if (path === LINKS) return Promise.resolve([...kernel.links.keys()].toSorted());
      const names = [...contents.keys()]
        .filter((name) => name.startsWith(`${path}/`))
        .map((name) => name.slice(path.length + 1).split('/')[0] ?? '');
      return Promise.resolve([...new Set(names)].toSorted());
    },
    watch(directory, onChange, signal) {
      const watcher = { directory, onChange };
      watchers.add(watcher);
      signal.addEventListener('abort', () => watchers.delete(watcher));
    },
  };
}
