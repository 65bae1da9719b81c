/**
 * Owns the data of a box on an ext4 of its own, through lives of `branchbox identity` that end in a kill, and in a power cut
 * where one is wanted: what the file system did not give the disk by then is gone. What the box sees is in a mount
 * namespace that ends with each life. Does not own when a life ends (killAt.ts).
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bundle } from '../../image/bundle.ts';
import type { BootstrapWorld } from './bootstrapWorld.ts';

const run = promisify(execFile);
/** What sh says of a program that SIGKILL ended. */
const KILLED = 137;
/**
 * Harder than a box's own options: nothing is written for a timer's sake, and a rename waits for no content (ext4 would
 * save a program that forgot to sync). $1: the box, $2: power, `on` or `cut`, $3: program, Node before it.
 */
const LIFE = `
cd "$1"
power=$2
shift 2
mount -t tmpfs none /etc
mount -t tmpfs none /run
mount -t tmpfs none /var/lib
mkdir -p /etc/branchbox/factory /run/branchbox /var/lib/branchbox
mount --bind factory /etc/branchbox/factory
cp -r leases /run/branchbox/leases
data=/var/lib/branchbox
mount -o loop,noatime,commit=300,noauto_da_alloc disk $data
ended=0
"$@" || ended=$?
# What the device was not given yet is what the cut takes.
[ $power = on ] || cp --sparse=always disk after
umount $data
[ $power = on ] || mv after disk
mount -o loop,noatime disk $data
rm -rf seen
cp -r $data/identity seen 2>/dev/null || mkdir seen
umount $data
exit $ended
`;

export interface LossyBox {
  /** Until it kills itself at `killAt`, in the words of killAt.ts; resolves to the files of its identity directory after it. */
  live(killAt: string, power: 'on' | 'cut'): Promise<ReadonlyMap<string, string>>;
}

const compiledIn = (world: BootstrapWorld) => ({ NODE_COMPILE_CACHE: join(world.directory, 'compiled') });

/** The product as it is shipped, once for all boxes. */
export async function bundleFor(world: BootstrapWorld): Promise<string> {
  const { directory } = await bundle('src/cli/main.ts', 'branchbox', join(world.directory, 'bundle'));
  const program = join(directory, 'branchbox.mjs');
  // A killed process keeps nothing of what it compiled; one that ends does, for all the lives to come.
  await run(process.execPath, [program, 'identity', '--help'], { env: compiledIn(world) });
  return program;
}

/** Whose agent has committed a desired state: it is in service once it has its certificate. */
export async function createLossyBox(
  world: BootstrapWorld,
  program: string,
  serial: string,
): Promise<LossyBox> {
  const box = await world.newBox(serial);
  const disk = join(box, 'disk');
  const content = join(box, 'content');
  await mkdir(join(content, 'agent'), { recursive: true });
  await writeFile(join(content, 'agent/committed.jws'), 'x');
  await run('truncate', ['--size=16M', disk]);
  await run('mkfs.ext4', ['-q', '-F', '-d', content, disk]);
  return {
    async live(killAt, power) {
      const kept = `NODE_COMPILE_CACHE=${compiledIn(world).NODE_COMPILE_CACHE}`;
      const own = ['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];
      const killed = [process.execPath, '--import', join(import.meta.dirname, 'killAt.ts'), program];
      const life = world.startAs([
        'env',
        kept,
        `BRANCHBOX_KILL_AT=${killAt}`,
        ...own,
        'sh',
        '-euc',
        LIFE,
        'sh',
        box,
        power,
        ...killed,
        'identity',
      ]);
      await once(life.child, 'close');
      if (life.child.exitCode !== KILLED) {
        throw new Error(`${killAt}: ended with ${life.child.exitCode}\n${life.lines.join('\n')}`);
      }
      const directory = join(box, 'seen');
      const files = new Map<string, string>();
      for (const name of await readdir(directory)) {
        files.set(name, await readFile(join(directory, name), 'utf8'));
      }
      return files;
    },
  };
}
