/** `npm run test:host -- RELEASE [--vm] [PART…]`: the README's commands on a fresh Debian machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeTree, RELEASES } from './tree.ts';
import { bootVm, PREPARE } from './vm.ts';

const PARTS = ['lab', 'apps', 'test'];
const USAGE = `usage: npm run test:host -- ${RELEASES.join(' | ')} [--vm] [--keep] [${PARTS.join('] [')}]
  Makes a machine with minimal Debian, Node.js, npm and ca-certificates and nothing else, clones the checkout's last
  commit into it, and does there what the README says. Needs root, mmdebstrap and git.
  PART    lab: npm run lab, the README's commands, lab down; apps: the tests of apps alone; test: npm test
          (default: lab and test; with --vm lab and apps)
  --vm    with Debian's own kernel in QEMU, so with cgroup version 2 alone and WireGuard in the kernel; with KVM where
          it works, else emulated, which takes an idle machine most of an hour
  --keep  keep the machine in out/host
  Everything said is kept in out/host/RELEASE.log.
example: npm run test:host -- trixie lab`;

const words = process.argv.slice(2);
const release = RELEASES.find((each) => each === words[0]);
const keep = words.includes('--keep');
const inVm = words.includes('--vm');
const chosen = words.slice(1).filter((word) => word !== '--keep' && word !== '--vm');
if (release === undefined || chosen.some((part) => !PARTS.includes(part))) {
  console.error(USAGE);
  process.exit(words[0] === '--help' ? 0 : 2);
}
if (process.getuid?.() !== 0) {
  console.error('test:host: a machine is made of namespaces, which takes root: sudo npm run test:host');
  process.exit(1);
}

const directory = join(import.meta.dirname, '../../out/host');
const name = inVm ? `${release}-vm` : release;
const tree = makeTree(release, directory, `machine-${name}`);
const logFile = join(directory, `${name}.log`);
const parts = chosen.length > 0 ? chosen : ['lab', inVm ? 'apps' : 'test'];
let exitCode: number;
if (!inVm) exitCode = await enter(['/opt/host/job.sh', ...parts]);
else {
  exitCode = await enter(['/bin/sh', '-c', PREPARE]);
  if (exitCode === 0) {
    const { child, accelerator } = bootVm(tree, parts);
    console.log(`booting Debian's own kernel, ${accelerator}`);
    exitCode = await relay(child);
  }
}
if (!keep) rmSync(tree, { recursive: true, force: true });

console.log('');
const steps = [...readFileSync(logFile, 'utf8').matchAll(/^== (ok|FAIL) (\S+) (\d+) s\r?$/gm)];
for (const [, mark = '', name = '', seconds = ''] of steps)
  console.log(`${mark.padEnd(4)} ${name.padEnd(16)} ${seconds} s`);
const failed = steps.filter(([, mark]) => mark === 'FAIL').length;
console.log(`Debian ${name}: ${steps.length - failed} steps passed, ${failed} failed`);
process.exitCode = exitCode === 0 && failed === 0 && steps.length > 0 ? 0 : 1;

/** Runs a command in the machine, on this kernel. */
async function enter(command: readonly string[]): Promise<number> {
  const init = join(import.meta.dirname, 'machine-init.sh');
  const proxies = Object.entries(process.env).filter(([key]) => /^(https?|no)_proxy$/i.test(key));
  const child = spawn('/bin/sh', [init, 'enter', tree, ...command], {
    // This machine's environment is not the fresh one's, but for the way out.
    env: {
      HOME: '/root',
      LANG: 'C.UTF-8',
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ...Object.fromEntries(proxies),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const code = await relay(child);
  removeCgroups(`branchbox-host-${child.pid}`);
  return code;
}

/** To the screen and to the log, until the machine is off; and off with it when this is ended. */
async function relay(child: ChildProcess): Promise<number> {
  const log = createWriteStream(logFile);
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk);
      log.write(chunk);
    });
  }
  // The machine's PID 1 goes with its parent, and all of the machine with its PID 1.
  const end = (): void => void child.kill('SIGKILL');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 1)));
  await new Promise<void>((resolve) => log.end(() => resolve()));
  return code;
}

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
