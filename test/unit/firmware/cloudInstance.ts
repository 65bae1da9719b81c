/**
 * Owns an instance that looks for its identity, for tests: the script with a real curl over HTTP, disks, routes and the disk's
 * cache stood in for; and each cloud's metadata service as it is documented. Does not own what is expected of it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished } from 'vitest';
import { MEDIUM_DIRECTORY, MEDIUM_FILES } from '../../../src/model/medium.ts';
import { type Member, tar } from '../../fuzz/mutateTar.ts';
import { createScriptBench, type World } from '../../fuzz/scriptBench.ts';

export const FACTORY = 'etc/branchbox/factory';
const MEDIUM = 'run/branchbox/media/user_data_medium';
const ARTEFACTS = Object.values(MEDIUM_FILES);
const IDENTITY = ['idevid.key', 'idevid.crt', 'chain.pem', 'voucher-anchor.pem', 'model'];
const MODELS = join(import.meta.dirname, '../../../firmware/models');
const contentOf = (name: string): string => (name === 'model' ? 'qemu\n' : `content of ${name}`);
export const MEMBERS: readonly Member[] = [
  { name: './serial', content: 'SN-1\n' },
  ...IDENTITY.map((name) => ({ name: `./${name}`, content: contentOf(name) })),
  ...ARTEFACTS.map((name) => ({ name: `./${MEDIUM_DIRECTORY}/SN-1/${name}`, content: `${name} of SN-1` })),
];
export const USER_DATA = `#branchbox-factory\n${gzipSync(tar(MEMBERS)).toString('base64')}\n`;
/** Each ask is cut to this here; the script's own limit must be there. */
const ASK_S = 0.3;

export const bench = createScriptBench({
  scripts: { 'cloud-identity': ['/run', '/proc/uptime'], 'medium-read': [] },
  commands: {
    // The real one; only where the service's address leads is different.
    curl: `case " $* " in *' --connect-timeout '*' --max-time '*) ;; *) exit 99 ;; esac
printf x >>"$WORLD/asked"
# Each takes so long here, by the machine's count.
read -r up rest <"$WORLD/proc/uptime"
echo "$((\${up%.*} + $(cat "$WORLD/takes" 2>/dev/null || echo 0))) 0" >"$WORLD/proc/uptime"
# As a network does that swallows the connection.
[ ! -e "$WORLD/silent" ] || { printf '28 000 0.000000' >&2; exit 28; }
exec /usr/bin/curl --connect-to "169.254.169.254:80:127.0.0.1:$(cat "$WORLD/port")" "$@" --max-time ${ASK_S}`,
    ip: `echo "$2" >>"$WORLD/routes"`,
    blkid: 'for word; do :; done; [ ! -e "$WORLD/disk-${word#LABEL=}" ] || echo "$WORLD/disk"',
    mount: `case "$*" in *remount*) exit 0 ;; esac
echo "$*" >>"$WORLD/mounts"
for at; do :; done
rmdir "$at" && ln -s "$WORLD/medium" "$at"`,
    umount: 'for at; do :; done; [ -L "$at" ] && rm "$at" && mkdir "$at"',
    // What the disk is told to hold, and a power cut at one of these moments.
    sync: `for file in "$2"/.serial "$2"/*; do [ ! -f "$file" ] || printf '%s=%s ' "\${file##*/}" "$(wc -c <"$file")"; done >>"$WORLD/syncs"
echo >>"$WORLD/syncs"
[ "$(wc -l <"$WORLD/syncs")" != "$(cat "$WORLD/cut" 2>/dev/null)" ] || kill -9 $PPID`,
    sleep: ':',
  },
});

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;
export async function serve(world: World, answer: Answer): Promise<() => void> {
  const made = createServer(answer);
  onTestFinished(() => {
    made.close();
    made.closeAllConnections();
  });
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  world.put('port', String((made.address() as AddressInfo).port));
  // The interface with a lease is the one that is asked by.
  world.put('run/branchbox/leases/lo.env', 'new_ip_address=127.0.0.1\n');
  world.put('proc/uptime', '7.31 12.00\n');
  world.grow(FACTORY, []);
  return () => void made.close();
}
export const start = (world: World): Promise<string> =>
  world.run('cloud-identity', [`${world.root}/${FACTORY}`], { BRANCHBOX_MODELS: MODELS });

export const say = (response: ServerResponse, status: number, body = '', type = 'text/plain'): void =>
  void response.writeHead(status, { 'content-type': type }).end(body);

/** As each is documented: who does not ask in its way gets nothing. */
export const CLOUDS: Readonly<Record<string, Answer>> = {
  'EC2 (IMDSv2 alone)': (request, response) => {
    const ttl = Number(request.headers['x-aws-ec2-metadata-token-ttl-seconds']);
    const isToken = request.url === '/latest/api/token';
    if (isToken && request.method === 'PUT')
      say(response, ttl >= 1 && ttl <= 21_600 ? 200 : 400, 'AQAE_x-1==');
    else if (request.headers['x-aws-ec2-metadata-token'] !== 'AQAE_x-1==') say(response, 401);
    else
      say(response, request.url === '/latest/user-data' ? 200 : 404, USER_DATA, 'application/octet-stream');
  },
  'EC2 (IMDSv1)': (request, response) => {
    if (request.method !== 'GET') say(response, 405);
    else say(response, request.url === '/latest/user-data' ? 200 : 404, USER_DATA);
  },
  Google: (request, response) => {
    response.setHeader('Metadata-Flavor', 'Google');
    if (request.headers['metadata-flavor'] !== 'Google') say(response, 403, '<!DOCTYPE html>', 'text/html');
    else if (request.method !== 'GET') say(response, 405);
    else {
      const isData = request.url === '/computeMetadata/v1/instance/attributes/user-data';
      say(response, isData ? 200 : 404, isData ? USER_DATA : '<!DOCTYPE html>', 'application/text');
    }
  },
  Azure: (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    const isDated = /^\d{4}-\d\d-\d\d$/.test(searchParams.get('api-version') ?? '');
    if (request.headers['metadata'] !== 'true' || request.headers['x-forwarded-for'] !== undefined)
      say(response, 400);
    else if (pathname !== '/metadata/instance/compute/userData') say(response, 404);
    else if (!isDated || searchParams.get('format') !== 'text') say(response, 400);
    else say(response, 200, Buffer.from(USER_DATA).toString('base64'));
  },
  'Oracle (IMDSv2)': (request, response) => {
    const isData = request.url === '/opc/v2/instance/metadata/user_data';
    if (request.headers['authorization'] !== 'Bearer Oracle') say(response, 401);
    else if (request.method !== 'GET' || request.headers['forwarded'] !== undefined) say(response, 403);
    else say(response, isData ? 200 : 404, isData ? Buffer.from(USER_DATA).toString('base64') : '');
  },
  Hetzner: (request, response) => {
    const isData = request.method === 'GET' && request.url === '/hetzner/v1/userdata';
    say(response, isData ? 200 : 404, isData ? USER_DATA : 'not found');
  },
  DigitalOcean: (request, response) => {
    const isData = request.method === 'GET' && request.url === '/metadata/v1/user-data';
    say(response, isData ? 200 : 404, isData ? USER_DATA : 'not found');
  },
  OpenStack: (request, response) => {
    const isData = request.method === 'GET' && request.url === '/openstack/latest/user_data';
    say(response, isData ? 200 : 404, isData ? USER_DATA : '');
  },
};

export function arrived(world: World): void {
  expect(world.read(`${FACTORY}/serial`)).toBe('SN-1\n');
  for (const name of IDENTITY) expect(world.read(`${FACTORY}/${name}`)).toBe(contentOf(name));
  expect(world.modeOf(`${FACTORY}/idevid.key`)).toBe(0o600);
  for (const name of ARTEFACTS) expect(world.read(`${MEDIUM}/${name}`)).toBe(`${name} of SN-1`);
}
export const nothing = (world: World): void =>
  expect([...world.changes().keys()].filter((path) => /^etc|media/.test(path))).toEqual([]);
