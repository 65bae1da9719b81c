/**
 * Owns holding a body against a YANG module by Debian's yanglint. The modules are in test/yang.
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
  /** Modules that do not fit each other, '' where they do. */
  problemsOfModules(...files: readonly string[]): Promise<string>;
  remove(): Promise<void>;
}

export type OperationPart =
  | 'get-bootstrapping-data-input'
  | 'get-bootstrapping-data-output'
  | 'report-progress-input';

export async function createYanglint(): Promise<Yanglint> {
  const directory = await mkdtemp(join(tmpdir(), 'bbt-yang-'));
  let calls = 0;

  async function lint(directories: readonly string[], files: readonly string[]): Promise<string> {
    const paths = directories.flatMap((path) => ['-p', path]);
    try {
      await run('yanglint', ['-DD', ...paths, '-f', 'json', ...files]);
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
  const bodyFile = (body: string): Promise<string> => written(`${(calls += 1)}.json`, body);

  return {
    async problemsOf(module, body) {
      return lint([MODULES], [join(MODULES, `${module}.yang`), await bodyFile(body)]);
    },
    async problemsOfOperation(part, body) {
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
      return lint([directory], [...modules, await bodyFile(body)]);
    },
    problemsOfModules: (...files) =>
      lint(
        [MODULES],
        files.map((file) => join(CHECKOUT, file)),
      ),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
