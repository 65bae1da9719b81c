/**
 * Owns holding a body, JSON or XML as it begins, against a YANG module by Debian's yanglint, and having it converted to the
 * other. The modules are in test/yang.
 * Does not own the bodies. Where yanglint is missing nothing passes: the call fails.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const CHECKOUT = join(import.meta.dirname, '../..');
const MODULES = join(CHECKOUT, 'test/yang');
const run = promisify(execFile);

export interface Yanglint {
  /** What yanglint says against it, '' where nothing. Its modules: the files in test/yang, by name. */
  problemsOf(module: string, body: string): Promise<string>;
  /** The same of the body of an operation of RFC 8572, as it is on the wire; `docs/branchbox-sztp.yang` counts too. */
  problemsOfOperation(part: OperationPart, body: string): Promise<string>;
  /** The same data in the other encoding; fails where it is refused. `module` or part of an operation. */
  converted(module: string, body: string): Promise<string>;
  /** Modules that do not fit each other, '' where they do. */
  problemsOfModules(...files: readonly string[]): Promise<string>;
  remove(): Promise<void>;
}

const PARTS = [
  'get-bootstrapping-data-input',
  'get-bootstrapping-data-output',
  'report-progress-input',
] as const;
export type OperationPart = (typeof PARTS)[number];
const isPart = (name: string): name is OperationPart => PARTS.some((part) => part === name);

export async function createYanglint(): Promise<Yanglint> {
  const directory = await mkdtemp(join(tmpdir(), 'bbt-yang-'));
  let calls = 0;

  interface Asked {
    readonly directories: readonly string[];
    readonly files: readonly string[];
  }
  async function convert({ directories, files }: Asked, to: 'json' | 'xml'): Promise<string> {
    const paths = directories.flatMap((path) => ['-p', path]);
    return (await run('yanglint', ['-DD', ...paths, '-f', to, ...files])).stdout;
  }
  async function lint(asked: Asked): Promise<string> {
    try {
      await convert(asked, 'json');
      return '';
    } catch (thrown) {
      // A verdict has an exit code; that there is no yanglint has none.
      if (
        thrown instanceof Error &&
        'stderr' in thrown &&
        'code' in thrown &&
        typeof thrown.code === 'number'
      ) {
        return String(thrown.stderr).trim() || `ended with ${thrown.code}`;
      }
      throw thrown;
    }
  }
  async function written(name: string, text: string): Promise<string> {
    const path = join(directory, name);
    await writeFile(path, text);
    return path;
  }
  const isXml = (body: string): boolean => body.startsWith('<');
  const bodyFile = (body: string): Promise<string> =>
    written(`${(calls += 1)}.${isXml(body) ? 'xml' : 'json'}`, body);

  const ofModule = async (module: string, body: string): Promise<Asked> => ({
    directories: [MODULES],
    files: [join(MODULES, `${module}.yang`), await bodyFile(body)],
  });
  async function ofOperation(part: OperationPart, body: string): Promise<Asked> {
    const server = await readFile(join(MODULES, 'ietf-sztp-bootstrap-server.yang'), 'utf8');
    const node = part.endsWith('-input') ? 'input' : 'output';
    const asData = `container ${node} { config false; uses ${part}; }\n}\n`;
    const modules = [await written('ietf-sztp-bootstrap-server.yang', server.replace(/\}\s*$/, asData))];
    if (part === 'get-bootstrapping-data-input') {
      const claims = await readFile(join(CHECKOUT, 'docs/branchbox-sztp.yang'), 'utf8');
      const path = '"/sztp-svr:get-bootstrapping-data/sztp-svr:input"';
      if (!claims.includes(path)) throw new Error(`branchbox-sztp.yang augments no ${path}`);
      modules.push(await written('branchbox-sztp.yang', claims.replace(path, '"/sztp-svr:input"')));
    }
    return { directories: [directory], files: [...modules, await bodyFile(body)] };
  }

  return {
    problemsOf: async (module, body) => lint(await ofModule(module, body)),
    problemsOfOperation: async (part, body) => lint(await ofOperation(part, body)),
    async converted(module, body) {
      const asked = isPart(module) ? await ofOperation(module, body) : await ofModule(module, body);
      return convert(asked, isXml(body) ? 'json' : 'xml');
    },
    problemsOfModules: (...files) =>
      lint({ directories: [MODULES], files: files.map((file) => join(CHECKOUT, file)) }),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
