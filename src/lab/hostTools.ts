/**
 * Owns what the lab needs of the host: root, Linux, a few programs; installs those that are missing, after saying
 * what and why. Does not own what runs inside nodes: that comes with the root tree.
 */
import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import type { Runner } from '../system/ports.ts';

interface Tool {
  /** In one of the directories of PATH; or the path of a file that a command loads. */
  readonly command: string;
  readonly packageName: string;
  readonly why: string;
}

const TOOLS: readonly Tool[] = [
  { command: 'ip', packageName: 'iproute2', why: 'makes network namespaces and the cables between them' },
  { command: 'nsenter', packageName: 'util-linux', why: 'makes and enters the namespaces of a node' },
  { command: 'mount', packageName: 'mount', why: 'mounts a node\u2019s root' },
];
/** Only where a tree has to be made. */
const TREE_TOOLS: readonly Tool[] = [
  {
    command: 'mmdebstrap',
    packageName: 'mmdebstrap',
    why: 'makes trees of Debian 13, each once: what nodes run from, what an image is made of',
  },
];
/** Only where an image is built from a clone. */
const IMAGE_TOOLS: readonly Tool[] = [
  {
    command: 'git',
    packageName: 'git',
    why: 'tells the time of the commit, which all files of an image bear',
  },
];
/** Only for the tests on real parts. */
const TEST_TOOLS: readonly Tool[] = [
  { command: 'curl', packageName: 'curl', why: 'asks a metadata service as a box does' },
  {
    command: 'sfdisk',
    packageName: 'fdisk',
    why: 'makes and reads the partition table of a disk under test',
  },
  { command: 'mkfs.ext4', packageName: 'e2fsprogs', why: 'makes the data partition of a disk under test' },
  { command: 'mkfs.vfat', packageName: 'dosfstools', why: 'makes the ESP of a disk under test' },
  {
    command: 'yanglint',
    packageName: 'libyang-tools',
    why: 'holds bodies of SZTP against their YANG modules',
  },
  { command: 'pki', packageName: 'strongswan-pki', why: 'asks an EST server as somebody else’s client' },
  {
    // Debian 12 only recommends it to pki, which without it knows neither certificates nor keys of elliptic curves.
    command: '/usr/lib/ipsec/plugins/libstrongswan-openssl.so',
    packageName: 'libstrongswan-standard-plugins',
    why: 'is how pki reads certificates and keys',
  },
  {
    command: 'faketime',
    packageName: 'faketime',
    why: 'comes with the library that turns the clock of a process under test',
  },
  { command: 'veritysetup', packageName: 'cryptsetup-bin', why: 'judges a slot that an update wrote' },
];
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const INSTALL_TIMEOUT_MS = 10 * 60_000;

export async function ensureHostTools(
  runner: Runner,
  say: (line: string) => void,
  options: { readonly forTrees?: boolean; readonly forTests?: boolean; readonly forImage?: boolean } = {},
): Promise<void> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new BranchboxError('lab/missing-capability', {
      message: 'the lab makes network namespaces, which takes root on Linux',
      mend: 'run it as root: sudo npm run lab',
    });
  }
  const needed = [
    ...TOOLS,
    ...(options.forTrees === true ? TREE_TOOLS : []),
    ...(options.forTests === true ? TEST_TOOLS : []),
    ...(options.forImage === true ? IMAGE_TOOLS : []),
  ];
  const missing = needed.filter(({ command }) => !isInstalled(command));
  if (missing.length === 0) return;
  for (const { packageName, command, why } of missing) say(`installing ${packageName}: ${command} ${why}`);
  if (!isInstalled('apt-get')) {
    throw new BranchboxError('lab/missing-capability', {
      message: `this machine has no apt-get to install ${missing.map(({ packageName }) => packageName).join(', ')}`,
      mend: 'install them by hand, or use Debian 12 or 13',
    });
  }
  const packages = missing.map(({ packageName }) => packageName);
  const install = ['install', '--yes', '--no-install-recommends', ...packages];
  const aptGet = (args: readonly string[]) =>
    runner.run('env', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', ...args], {
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
  if ((await aptGet(install)).exitCode === 0) return;
  // Fresh machines have no package lists yet, old ones stale ones.
  await aptGet(['update']);
  const again = await aptGet(install);
  if (again.exitCode === 0) return;
  throw new BranchboxError('lab/missing-capability', {
    message: `apt-get could not install ${packages.join(', ')}: ${again.stderr.trim().slice(-400)}`,
  });
}

function isInstalled(command: string): boolean {
  return PATH.split(':').some((directory) => {
    try {
      const file = resolve(directory, command);
      accessSync(file, file === command ? constants.R_OK : constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
