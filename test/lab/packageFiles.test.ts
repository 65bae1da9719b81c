/**
 * The files of the Debian package, as dpkg puts them in place and takes them away: in a root of its own, without what it
 * depends on and without its scripts. Under a real systemd: package.test.ts.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createToolbox, type Toolbox } from '../../image/toolbox.ts';
import { ensureTree, TOOLS_TREE } from '../../image/trees.ts';
import { createRunner } from '../../src/system/linux/runner.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
const at = (path: string): string => join(CHECKOUT, path);
let scratch: string;
let toolbox: Toolbox;

beforeAll(async () => {
  const runner = createRunner();
  const tools = await ensureTree(TOOLS_TREE, { runner, say: () => {} });
  toolbox = createToolbox(runner, tools, { SOURCE_DATE_EPOCH: '1750000000' });
  scratch = mkdtempSync(join(tmpdir(), 'bbt-package-files-'));
  mkdirSync(join(scratch, 'staged/payload'), { recursive: true });
  for (const name of ['wait-for-socket', 'containerd.toml'])
    cpSync(at(`firmware/${name}`), join(scratch, 'staged/payload', name));
  cpSync(at('firmware/units'), join(scratch, 'staged/units'), { recursive: true });
  const words = [join(scratch, 'staged'), '0.2.0', at('image/packages.txt'), at('firmware/root')];
  await toolbox.run([scratch, CHECKOUT], [at('image/make-deb.sh'), ...words, join(scratch, 'box.deb')]);
}, 1_200_000);
afterAll(() => rmSync(scratch, { recursive: true }));

// As on a whole Debian: the tools tree's own dpkg leaves out all documentation but licences (make-root.sh), and would call
// the package's changelog missing ever after.
const WITH_ITS_DOCUMENTATION = '--path-include=/usr/share/doc/branchbox/*';
const dpkg = (...words: string[]): Promise<string> =>
  toolbox.run(
    [scratch],
    ['dpkg', `--root=${scratch}/root`, '--force-depends', WITH_ITS_DOCUMENTATION, ...words],
  );
/** A link of the root is one within it. */
function inRoot(path: string): string {
  const own = join(scratch, 'root', path);
  return lstatSync(own).isSymbolicLink() ? join(scratch, 'root', readlinkSync(own)) : own;
}
/** Of the machine but dpkg's own. */
const filesThere = (): string[] =>
  execFileSync('find', ['.', '-path', './var', '-prune', '-o', '!', '-type', 'd', '-print'], {
    cwd: join(scratch, 'root'),
  })
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .sort();

it('of Debian’s units puts its own in their place, and gives them back where it is removed without a purge', async () => {
  mkdirSync(join(scratch, 'root/var/lib/dpkg/updates'), { recursive: true });
  mkdirSync(join(scratch, 'root/var/lib/dpkg/info'));
  for (const name of ['status', 'available']) writeFileSync(join(scratch, 'root/var/lib/dpkg', name), '');
  await toolbox.run(
    [scratch],
    [
      'sh',
      '-euc',
      'cd "$0"; dpkg-deb -R box.deb bare; rm bare/DEBIAN/p*; dpkg-deb -b bare bare.deb',
      scratch,
    ],
  );
  await dpkg('--install', join(scratch, 'bare.deb'));
  const there = filesThere();
  expect(there).toContain('./usr/share/doc/branchbox/changelog.gz');
  for (const unit of ['docker', 'containerd']) {
    expect(there).toContain(`./etc/systemd/system/${unit}.service`);
    const started = readFileSync(inRoot(`/etc/systemd/system/${unit}.service`), 'utf8');
    expect(started).toContain('ExecStartPost=/usr/lib/branchbox/wait-for-socket');
  }
  // Each is known, so that one which a disk or somebody else changed is told.
  const changed = async (): Promise<string> =>
    toolbox.run([scratch], ['sh', '-c', `dpkg --root=${scratch}/root --verify branchbox || :`]);
  expect(await changed()).toBe('');
  writeFileSync(join(scratch, 'root/usr/lib/branchbox/containerd.toml'), 'changed');
  expect(await changed()).toMatch(/^\S*5\S* +\/usr\/lib\/branchbox\/containerd\.toml\n$/);
  await dpkg('--remove', 'branchbox');
  // What stayed would be started in the place of Debian's, by programs that are gone.
  expect(filesThere()).toEqual([]);
});
