/**
 * Time servers that DHCP names: the real clients with their hook, against a real server that names some, and a real
 * chrony that reads them. No clock is set: chrony runs with -x, and nobody here has the right to.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createDhcpLine, type DhcpLine, sh, untilChanged } from './dhcpLine.ts';
import { quietRootTree } from './quietRootTree.ts';

let tree: string;
let line: DhcpLine;

/** Both ends in one mount namespace; what chrony reads is at `sources` of the line's directory. */
function start(family: 4 | 6, ...dnsmasq: readonly string[]): void {
  const server = [
    'dnsmasq -k -p 0 -C /dev/null --user=root --leasefile-ro --no-ping --dhcp-authoritative --enable-ra',
    ...dnsmasq,
  ].join(' ');
  const conf = family === 4 ? 'dhcpcd.conf' : 'dhcpcd6.conf';
  const box = line.at('box');
  line.start(
    tree,
    ['dhcpcd-hook', 'time-servers', conf],
    `mkdir -p root/run/chrony-dhcp; mount --bind sources root/run/chrony-dhcp
     mkfifo -m 600 ask
     ${box} chronyd -x -d -u root >chronyd.log 2>&1 &
     while ! [ -S root/run/chrony/chronyd.sock ]; do sleep 0.05; done
     ${line.at('provider')} ${server} &
     ${box} dhcpcd -B -${family} -f /usr/lib/branchbox/${conf} -c /usr/lib/branchbox/dhcpcd-hook wan1 &
     while read -r words; do ${box} $words >answer.part 2>&1 || :; mv answer.part answer; done <>ask`,
  );
}

const told = (family: 4 | 6, reached: (text: string | undefined) => boolean): Promise<string> =>
  untilChanged(join(line.directory, 'sources'), async () => {
    const path = join(line.directory, `sources/wan1.ipv${family}.sources`);
    const text = await readFile(path, 'utf8').catch(() => undefined);
    return reached(text) ? (text ?? 'none') : undefined;
  });
/** A command in the box, by its own processes' namespaces. */
async function inBox(words: string): Promise<string> {
  const answer = join(line.directory, 'answer');
  rmSync(answer, { force: true });
  sh(`echo '${words}' >${line.directory}/ask`);
  return untilChanged(line.directory, () => readFile(answer, 'utf8').catch(() => undefined));
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
  tree = await quietRootTree();
});
beforeEach(() => {
  line = createDhcpLine('time', ['198.51.100.1/24', '2001:db8:1::1/64 nodad']);
  mkdirSync(join(line.directory, 'sources'));
});
afterEach(() => line.remove());

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
  sh(`ip -n ${line.provider} link set p0 down`);
  expect(await told(6, (text) => text === undefined)).toBe('none');
  await chronyUntil((found) => !found.includes(address));
});
