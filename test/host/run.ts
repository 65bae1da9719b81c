/** `npm run test:host -- RELEASE [PART…]`: the README's commands on a fresh Debian machine, on this kernel. */
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeTree, RELEASES } from './tree.ts';

const PARTS = ['lab', 'test'];
const USAGE = `usage: npm run test:host -- ${RELEASES.join(' | ')} [--keep] [${PARTS.join('] [')}]
  Makes a machine with minimal Debian, Node.js, npm and ca-certificates and nothing else, clones the checkout's last
  commit into it, and does there what the README says: lab, the commands after it, lab down; then npm test.
  PART    only these parts (default: both)
  --keep  keep the machine in out/host
  Needs root, mmdebstrap and git. Everything said is kept in out/host/RELEASE.log.
example: npm run test:host -- trixie lab`;

const words = process.argv.slice(2);
const release = RELEASES.find((each) => each === words[0]);
const keep = words.includes('--keep');
const chosen = words.slice(1).filter((word) => word !== '--keep');
if (release === undefined || chosen.some((part) => !PARTS.includes(part))) {
  console.error(USAGE);
  process.exit(words[0] === '--help' ? 0 : 2);
}
if (process.getuid?.() !== 0) {
  console.error('test:host: a machine is made of namespaces, which takes root: sudo npm run test:host');
  process.exit(1);
}

const directory = join(import.meta.dirname, '../../out/host');
const tree = makeTree(release, directory, `machine-${release}`);
const logFile = join(directory, `${release}.log`);
const log = createWriteStream(logFile);
const init = join(import.meta.dirname, 'machine-init.sh');
const job = ['/opt/host/job.sh', ...(chosen.length > 0 ? chosen : PARTS)];
const child = spawn('/bin/sh', [init, 'enter', tree, ...job], {
  // This machine's environment is not the fresh one's, but for the way out.
  env: {
    HOME: '/root',
    LANG: 'C.UTF-8',
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(https?|no)_proxy$/i.test(name))),
  },
  stdio: ['ignore', 'pipe', 'pipe'],
});
// PID 1 of the machine goes with its parent, and all of the machine with PID 1.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill('SIGKILL'));
for (const stream of [child.stdout, child.stderr]) {
  stream.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk);
    log.write(chunk);
  });
}
const exitCode = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)));
await new Promise((resolve) => log.end(resolve));
removeCgroups(`branchbox-host-${child.pid}`);
if (!keep) rmSync(tree, { recursive: true, force: true });

console.log('');
const steps = [...readFileSync(logFile, 'utf8').matchAll(/^== (ok|FAIL) (\S+) (\d+) s$/gm)];
for (const [, mark = '', name = '', seconds = ''] of steps)
  console.log(`${mark.padEnd(4)} ${name.padEnd(16)} ${seconds} s`);
const failed = steps.filter(([, mark]) => mark === 'FAIL').length;
console.log(`Debian ${release}: ${steps.length - failed} steps passed, ${failed} failed`);
process.exitCode = exitCode === 0 && steps.length > 0 ? 0 : 1;

/** Empty once the machine is gone. */
function removeCgroups(name: string): void {
  const remove = (path: string): void => {
    if (!existsSync(path)) return;
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) remove(join(path, entry.name));
    rmdirSync(path);
  };
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, at = '', type = ''] = line.split(' ');
    if (type === 'cgroup' || type === 'cgroup2') remove(join(at, name));
  }
}
