/**
 * Time servers that DHCP names: the real clients with their hook, against a real server that names some, and a real
 * chrony that reads them. No clock is set: chrony runs with -x, and nobody here has the right to.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { ensureRootTree } from '../../src/lab/rootTree.ts';
import { createRunner } from '../../src/system/linux/runner.ts';

const FIRMWARE = join(import.meta.dirname, '../../firmware');
const box = `bbt-time-${process.pid}`;
const provider = `${box}-isp`;
let tree: string;
let directory: string;
let node: ReturnType<typeof spawn>;
let ended: Promise<unknown>;

const sh = (script: string): string =>
  execFileSync('sh', ['-euc', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** Both ends in one mount namespace over the userland of a box; what chrony reads is at `directory`/sources. */
function start(family: 4 | 6, ...dnsmasq: readonly string[]): void {
  const server = [
    'dnsmasq -k -p 0 -C /dev/null --user=root --leasefile-ro --no-ping --dhcp-authoritative --enable-ra',
    ...dnsmasq,
  ].join(' ');
  const conf = family === 4 ? 'dhcpcd.conf' : 'dhcpcd6.conf';
  const client = `dhcpcd -B -${family} -f /usr/lib/branchbox/${conf} -c /usr/lib/branchbox/dhcpcd-hook wan1`;
  node = spawn(
    'setpriv',
    [
      '--bounding-set=-sys_time',
      '--inh-caps=-sys_time',
      'unshare',
      '--mount',
      '--propagation',
      'private',
      '--pid',
      '--fork',
      '--kill-child',
      'sh',
      '-euc',
      `cd ${directory}; mkdir -p upper work root
       mount -t overlay overlay -o lowerdir=${tree},upperdir=upper,workdir=work root
       mount -t proc proc root/proc; mount -t tmpfs run root/run; mount -t tmpfs dev root/dev
       mknod -m 666 root/dev/null c 1 3; mknod -m 666 root/dev/urandom c 1 9
       mkdir -p root/usr/lib/branchbox root/run/chrony-dhcp; mount --bind sources root/run/chrony-dhcp
       cp ${FIRMWARE}/dhcpcd-hook ${FIRMWARE}/time-servers ${FIRMWARE}/${conf} root/usr/lib/branchbox/
       mkfifo -m 600 ${directory}/ask
       nsenter --net=/run/netns/${box} chroot root chronyd -x -d -u root >${directory}/chronyd.log 2>&1 &
       while ! [ -S root/run/chrony/chronyd.sock ]; do sleep 0.05; done
       nsenter --net=/run/netns/${provider} chroot root ${server} &
       nsenter --net=/run/netns/${box} chroot root ${client} &
       while read -r words; do nsenter --net=/run/netns/${box} chroot root $words >answer.part 2>&1 || :; mv answer.part answer; done <>ask`,
    ],
    { stdio: 'ignore' },
  );
  ended = new Promise((resolve) => node.once('exit', resolve));
}

/** What a change in a directory brings about, at last. */
async function until<T>(place: string, read: () => Promise<T | undefined>): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  const look = async (): Promise<void> => {
    const found = await read();
    if (found !== undefined) resolve(found);
  };
  const watcher = watch(place, () => void look());
  void look();
  return promise.finally(() => watcher.close());
}
const told = (family: 4 | 6, reached: (text: string | undefined) => boolean): Promise<string> =>
  until(join(directory, 'sources'), async () => {
    const path = join(directory, `sources/wan1.ipv${family}.sources`);
    const text = await readFile(path, 'utf8').catch(() => undefined);
    return reached(text) ? (text ?? 'none') : undefined;
  });
/** A command in the box, by its own processes' namespaces. */
async function inBox(words: string): Promise<string> {
  rmSync(join(directory, 'answer'), { force: true });
  sh(`echo '${words}' >${directory}/ask`);
  return until(directory, () => readFile(join(directory, 'answer'), 'utf8').catch(() => undefined));
}
const chronySources = async (): Promise<readonly string[]> => {
  const text = await inBox('chronyc -c -n -a -h /run/chrony/chronyd.sock sources -a');
  return text.split('\n').flatMap((line) => line.split(',')[2] ?? []);
};

/** The file comes first, then chrony is told: asked until it is so. */
async function chronyUntil(reached: (sources: readonly string[]) => boolean): Promise<readonly string[]> {
  for (;;) {
    const sources = await chronySources();
    if (reached(sources)) return sources;
  }
}

beforeAll(async () => {
  tree = await ensureRootTree(createRunner(), () => {});
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-time-'));
  mkdirSync(join(directory, 'sources'));
  sh(`ip netns add ${box}; ip netns add ${provider}
      ip -n ${box} link add wan1 type veth peer name p0 netns ${provider}
      ip -n ${provider} address add 198.51.100.1/24 dev p0
      ip -n ${provider} address add 2001:db8:1::1/64 dev p0 nodad
      ip -n ${provider} link set p0 up; ip -n ${provider} link set lo up
      ip -n ${box} link set lo up; ip -n ${box} link set wan1 up`);
});
afterEach(async () => {
  node.kill('SIGKILL');
  await ended;
  sh(`ip netns delete ${box}; ip netns delete ${provider}`);
  rmSync(directory, { recursive: true, force: true });
});

it('of IPv4 reach chrony, two of them and no nonsense; released, they are gone', async () => {
  const lying = ['127.0.0.1', '224.0.1.1', '255.255.255.255'];
  const named = ['198.51.100.21', '198.51.100.22', '198.51.100.23'];
  start(
    4,
    '--dhcp-range=198.51.100.100,198.51.100.199,1h',
    `--dhcp-option-force=option:ntp-server,${[...lying, ...named].join(',')}`,
  );
  expect(await told(4, (text) => text !== undefined)).toBe(
    'server 198.51.100.21 minpoll 5\nserver 198.51.100.22 minpoll 5\n',
  );
  const sources = await chronyUntil((found) => found.includes('198.51.100.22'));
  expect(sources).toContain('198.51.100.21');
  for (const nobody of [...lying, '198.51.100.23']) expect(sources).not.toContain(nobody);
  await inBox('dhcpcd -4 -k wan1');
  expect(await told(4, (text) => text === undefined)).toBe('none');
  await chronyUntil((found) => !found.includes('198.51.100.21'));
});

it.each([
  // RFC 5908: suboption 1, an address.
  ['56', '56,00:01:00:10:20:01:0d:b8:00:01:00:00:00:00:00:00:00:00:00:56', '2001:db8:1::56'],
  ['31', 'sntp-server,[2001:db8:1::31]', '2001:db8:1::31'],
])('of IPv6 reach chrony by option %s; they go with the cable', async (_option, words, address) => {
  start(6, '--dhcp-range=2001:db8:1::100,2001:db8:1::1ff,64,1h', `--dhcp-option=option6:${words}`);
  expect(await told(6, (text) => text !== undefined)).toBe(`server ${address} minpoll 5\n`);
  await chronyUntil((found) => found.includes(address));
  sh(`ip -n ${provider} link set p0 down`);
  expect(await told(6, (text) => text === undefined)).toBe('none');
  await chronyUntil((found) => !found.includes(address));
});
