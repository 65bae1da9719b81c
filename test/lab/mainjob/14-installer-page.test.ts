/**
 * What an installer sees and does: a box as the factory left it, a device on one of its LAN ports, a link by mail and a
 * code by another way; and that nothing of it is left on a box that is enrolled.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sentencesOf } from '../../../src/model/bootstrap.ts';
import { api, readFleet } from './fleet.ts';
import { branchbox, inNode, jsonIn, LAB, lab, tryIn, until } from './lab.ts';

const BOX = 'branch2';
/** On its lan1. */
const LAPTOP = 'branch2-red';
const OWN = '172.31.254.1';
const CURL = ['curl', '-sS', '--max-time', '5'] as const;

/** Runs at the laptop whenever udhcpc has something to say. */
const LEASE_SCRIPT = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address replace "$ip/$mask" dev "$interface"
echo "nameserver $dns" >/etc/resolv.conf
echo "$ip/$mask $router $dns"
`;

interface Activation {
  readonly code: string;
  readonly link: string;
}

describe('an installer', () => {
  let serial: string;
  let activation: Activation;
  const change = async (entry: object): Promise<void> => {
    expect((await api('PATCH', `/api/v1/inventory/${serial}`, entry)).status).toBe(200);
  };
  const get = async (url: string): Promise<string> => (await tryIn(LAPTOP, [...CURL, url])).stdout;
  const state = async (): Promise<{ state: string; waitsFor: string; mend: string }> =>
    jsonIn(BOX, 'branchbox', 'bootstrap', 'status', '--json');
  const send = async (code: string, headers: readonly string[] = []): Promise<string> => {
    const form = await get(activation.link);
    const field = (name: string): string =>
      new RegExp(`name="${name}" value="([^"]+)"`).exec(form)?.[1] ?? '';
    const ended = await tryIn(
      LAPTOP,
      [
        ...CURL,
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        '-d',
        '@-',
        ...headers.flatMap((header) => ['-H', header]),
        new URL('/activate', activation.link).href,
      ],
      new URLSearchParams({ token: field('token'), link: field('link'), code }).toString(),
    );
    return ended.stdout;
  };

  beforeAll(async () => {
    serial = (await readFleet()).fleet.gateways.find(({ id }) => id === BOX)?.serial ?? 'none';
    await change({ twoFactor: true, approved: false });
    await lab('restart', BOX, '--factory');
    await until('it waits for the code', async () => (await state()).waitsFor.includes('activation code'));
    const script = ['sh', '-c', 'cat >/run/lease && chmod 755 /run/lease'];
    await tryIn(LAPTOP, script, LEASE_SCRIPT);
  });
  afterAll(async () => {
    await change({ twoFactor: false, approved: true });
    await tryIn(LAPTOP, ['sh', '-c', 'ip address flush dev eth0 to 172.31.254.0/24; : >/etc/resolv.conf']);
    await until(
      'the whole lab is well',
      async () => (await branchbox(['lab', 'status', '--lab', LAB])).exitCode === 0,
      120_000,
    );
  });

  it('gets an address on a LAN port, and every name leads to the box', async () => {
    const lease = await until('a lease', async () => {
      const words = ['busybox', 'udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-s', '/run/lease'];
      const ended = await tryIn(LAPTOP, words);
      return /^172\.31\.254\.\d+\/28 (\S+) (\S+)$/m.exec(ended.stdout) ?? undefined;
    });
    expect(lease.slice(1)).toEqual([OWN, OWN]);
    for (const name of ['anything.example', 'branchbox.internal']) {
      const words = [...CURL, '-o', '/dev/null', '-w', '%{remote_ip} %{http_code}'];
      expect((await inNode(LAPTOP, ...words, '-L', `http://${name}/`)).trim()).toBe(`${OWN} 200`);
    }
    // No address for IPv6 is an answer, too: a phone that gets none asks again and again.
    const none = await tryIn(LAPTOP, ['busybox', 'nslookup', '-type=aaaa', 'anything.example']);
    expect(none.stdout).not.toContain('REFUSED');
  });

  it('reads there how far the box is, in the words of the command line, and which cables are seen', async () => {
    const page = await get('http://branchbox.internal/');
    const { waitsFor, mend } = sentencesOf('ENROLLING', { state: 'wanted' });
    expect(await state()).toMatchObject({ state: 'ENROLLING', waitsFor, mend });
    for (const words of ['ENROLLING', waitsFor, mend, serial]) expect(page).toContain(words);
    expect(page).toMatch(/>wan1 \(WAN\)<.*<td>seen<\/td><td>198\.51\.100\.\d+\/24</);
    expect(page).toMatch(/>lan1 \(LAN\)<.*seen, you are here/);
    expect(page).toMatch(/>lan3 \(LAN\)<.*<td>none</);
  });

  it('reaches nothing but that', async () => {
    for (const url of [`http://${OWN}:8443/`, 'http://198.51.100.10:8445/', 'http://198.51.100.1/']) {
      const ended = await tryIn(LAPTOP, ['curl', '-sS', '--max-time', '1', url]);
      expect(ended.exitCode, url).not.toBe(0);
    }
    const provider = ['sh', '-c', `curl -sS --max-time 1 http://$(cat /dev/stdin)/`];
    const addresses = await inNode(BOX, 'ip', '-4', '-o', 'address', 'show', 'dev', 'wan1');
    const wan = / inet ([\d.]+)\//.exec(addresses)?.[1] ?? '';
    expect((await tryIn('internet-host', provider, wan)).exitCode).not.toBe(0);
  });

  it('types a wrong code and is told so, then the right one, and the box enrols and the page goes', async () => {
    const made = await api('POST', `/api/v1/inventory/${serial}/activation`, { codeLength: 6, validS: 600 });
    expect(made.status).toBe(201);
    activation = made.body as Activation;
    const wrong = (activation.code.startsWith('A') ? 'B' : 'A') + activation.code.slice(1);
    expect(await send(activation.code, ['Origin: http://evil.example'])).toBe('403');
    expect(await send(wrong)).toBe('303');
    await until('the page tells it', async () => (await get(`http://${OWN}/`)).includes('4 tries are left'));
    expect((await state()).state).toBe('ENROLLING');
    expect((await api('GET', `/api/v1/inventory/${serial}/activation`)).body).toMatchObject({
      keysTried: 1,
      keys: [{ triesTaken: 1, triesLeft: 4 }],
    });

    expect(await send(activation.code.toLowerCase())).toBe('303');
    await until('it is enrolled', async () => (await state()).state === 'OPERATIONAL');
    await until('its addresses on LAN ports are gone', async () => {
      const addresses = await inNode(BOX, 'ip', '-4', '-br', 'address');
      return !addresses.includes('172.31.254.');
    });
    expect((await tryIn(LAPTOP, ['curl', '-sS', '--max-time', '1', `http://${OWN}/`])).exitCode).not.toBe(0);
    const units = await inNode(BOX, 'systemctl', 'show', '-p', 'ActiveState', 'branchbox-installer-*');
    expect(units).not.toMatch(/=(active|activating)/);
    expect(await inNode(BOX, 'ls', '/run/branchbox/installer')).not.toContain('agent.sock');
    expect(await inNode(BOX, 'nft', 'list', 'chain', 'inet', 'branchbox', 'installer_input')).not.toContain(
      'accept',
    );
    // Once only, and in nobody's log.
    expect((await api('GET', `/api/v1/inventory/${serial}/activation`)).status).toBe(404);
    for (const node of [BOX, 'controller']) {
      const words = ['grep', '-rl', activation.code, '/var/log', '/var/lib/branchbox', '/run/branchbox'];
      expect((await tryIn(node, words)).stdout).toBe('');
    }
  });

  it('finds no page on a box that was restarted in service', async () => {
    await lab('restart', BOX);
    await until('it is in service', async () => (await state()).state === 'OPERATIONAL');
    const log = await inNode(BOX, 'sh', '-c', 'tail -n 500 /var/log/units/events.jsonl');
    const starts = log.split('\n').filter((line) => line.includes('branchbox-installer-'));
    const restartedAt = await inNode(BOX, 'sh', '-c', 'stat -c %Y /proc/1');
    expect(
      starts.filter(
        (line) => Date.parse((JSON.parse(line) as { time: string }).time) / 1000 >= Number(restartedAt),
      ),
    ).toEqual([]);
  });
});
