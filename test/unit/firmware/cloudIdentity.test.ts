/**
 * An instance's user data from each cloud's metadata service, as each is asked in its own way; from services that answer
 * as none should; and what a power cut leaves. By a real curl over HTTP; disks, routes and the disk's cache are stood in
 * for. Over real disks and routes: test/lab/cloudIdentity.test.ts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { MEDIUM_DIRECTORY, MEDIUM_FILES } from '../../../src/model/medium.ts';
import { type Member, tar } from '../../fuzz/mutateTar.ts';
import { createScriptBench, type World } from '../../fuzz/scriptBench.ts';
import { faultTable } from '../bootstrap/faults/table.ts';

const FACTORY = 'etc/branchbox/factory';
const MEDIUM = 'run/branchbox/media/user_data_medium';
const ARTEFACTS = Object.values(MEDIUM_FILES);
const IDENTITY = ['idevid.key', 'idevid.crt', 'chain.pem', 'voucher-anchor.pem', 'model'];
const MODELS = join(import.meta.dirname, '../../../firmware/models');
const contentOf = (name: string): string => (name === 'model' ? 'qemu\n' : `content of ${name}`);
const MEMBERS: readonly Member[] = [
  { name: './serial', content: 'SN-1\n' },
  ...IDENTITY.map((name) => ({ name: `./${name}`, content: contentOf(name) })),
  ...ARTEFACTS.map((name) => ({ name: `./${MEDIUM_DIRECTORY}/SN-1/${name}`, content: `${name} of SN-1` })),
];
const USER_DATA = `#branchbox-factory\n${gzipSync(tar(MEMBERS)).toString('base64')}\n`;
/** Each ask is cut to this here; the script's own limit must be there. */
const ASK_S = 0.3;

const bench = createScriptBench({
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

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server?.closeAllConnections();
  server = undefined;
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
async function serve(world: World, answer: Answer): Promise<void> {
  const made = createServer(answer);
  server = made;
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  world.put('port', String((made.address() as AddressInfo).port));
  // The interface with a lease is the one that is asked by.
  world.put('run/branchbox/leases/lo.env', 'new_ip_address=127.0.0.1\n');
  world.put('proc/uptime', '7.31 12.00\n');
  world.grow(FACTORY, []);
}
const start = (world: World): Promise<string> =>
  world.run('cloud-identity', [`${world.root}/${FACTORY}`], { BRANCHBOX_MODELS: MODELS });

const say = (response: ServerResponse, status: number, body = '', type = 'text/plain'): void =>
  void response.writeHead(status, { 'content-type': type }).end(body);

/** As each is documented: who does not ask in its way gets nothing. */
const CLOUDS: Readonly<Record<string, Answer>> = {
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

function arrived(world: World): void {
  expect(world.read(`${FACTORY}/serial`)).toBe('SN-1\n');
  for (const name of IDENTITY) expect(world.read(`${FACTORY}/${name}`)).toBe(contentOf(name));
  expect(world.modeOf(`${FACTORY}/idevid.key`)).toBe(0o600);
  for (const name of ARTEFACTS) expect(world.read(`${MEDIUM}/${name}`)).toBe(`${name} of SN-1`);
}
const nothing = (world: World): void =>
  expect([...world.changes().keys()].filter((path) => /^etc|media/.test(path))).toEqual([]);

describe('user data', () => {
  it.each(Object.entries(CLOUDS))('of %s bring the identity and the three artefacts', (_name, answer) =>
    bench.within(async (world) => {
      await serve(world, answer);
      expect(await start(world)).toContain('from the metadata service, by lo');
      arrived(world);
      // What was added for it is taken away.
      expect(world.read('routes')).toBe('replace\ndel\n');
    }),
  );

  it.each([
    ['cidata', 'user-data'],
    ['config-2', 'openstack/latest/user_data'],
  ])('on a disk labelled %s bring them, and nobody is asked', (label, path) =>
    bench.within(async (world) => {
      const asked: unknown[] = [];
      await serve(world, (request, response) => {
        asked.push(request.url);
        say(response, 404);
      });
      world.put(`disk-${label}`, '');
      world.put(`medium/${path}`, USER_DATA);
      await start(world);
      arrived(world);
      expect(world.read('mounts')).toMatch(/^-o ro,nosuid,nodev,noexec,nosymfollow /);
      expect(asked).toEqual([]);
    }),
  );

  it('on a CD-ROM whose driver comes after the first look bring them', () =>
    bench.within(async (world) => {
      await serve(world, (_request, response) => {
        world.put('disk-cidata', '');
        say(response, 404);
      });
      world.put('medium/user-data', USER_DATA);
      expect(await start(world)).toContain('user-data');
      arrived(world);
    }));

  it('that an editor of Windows wrote, with a byte order mark, bring them', () =>
    bench.within(async (world) => {
      await serve(world, (_request, response) => say(response, 404));
      world.put('disk-cidata', '');
      world.put('medium/user-data', `\xef\xbb\xbf${USER_DATA.replaceAll('\n', '\r\n')}`);
      await start(world);
      arrived(world);
    }));
});

describe('where nobody is', () => {
  it.each([
    ['refuses the connection', false],
    ['swallows it', true],
  ])('and the network %s, that one is tried for all clouds', (_what, isSilent) =>
    bench.within(async (world) => {
      await serve(world, () => {});
      server?.close();
      if (isSilent) world.put('silent', '');
      expect(await start(world)).toBe('cloud-identity: no user data of ours\n');
      expect(world.read('asked')).toBe('x');
      expect(world.read('routes')).toBe('replace\ndel\n');
    }),
  );
});

describe('of a service that takes the start’s time', () => {
  it('one that takes connections and says nothing is asked twice by a port, on the link and by its gateway together', () =>
    bench.within(async (world) => {
      await serve(world, () => {});
      world.put('run/branchbox/leases/lo.env', 'new_ip_address=127.0.0.1\nnew_routers=127.0.0.1\n');
      await start(world);
      expect(world.read('asked')).toBe('xx');
      expect(world.read('routes')).toBe('replace\ndel\nreplace\ndel\n');
      expect(world.read('run/branchbox/cloud-identity')).toBe(
        'the metadata service takes the connection and says nothing\nno user data of ours\n',
      );
      nothing(world);
    }));

  it('one ask that is not answered keeps nobody from being asked in the way of another cloud', () =>
    bench.within(async (world) => {
      await serve(world, (request, response) => {
        if (request.url === '/hetzner/v1/userdata') say(response, 200, USER_DATA);
        else if (request.method !== 'PUT') say(response, 404);
      });
      await start(world);
      arrived(world);
    }));

  it('nobody is asked when 20 s are over, however many ways are left', () =>
    bench.within(async (world) => {
      await serve(world, (_request, response) => void response.write('#branchbox-factory\n'));
      world.put('takes', '5');
      expect(await start(world)).toContain('the metadata service was not asked to the end: 20 s were over');
      expect(world.read('asked')).toBe('x'.repeat(4));
      nothing(world);
    }));
});

/** Each would be taken if it were believed, waited for or followed. */
const HOSTILE: Readonly<Record<string, Answer>> = {
  'sends elsewhere': (request, response) => {
    if (request.url === '/elsewhere') say(response, 200, USER_DATA);
    else response.writeHead(302, { location: '/elsewhere' }).end(USER_DATA);
  },
  'is a portal': (_request, response) =>
    say(response, 200, `<html>\n${USER_DATA}</html>`.repeat(3), 'text/html'),
  'says how much it will be': (_request, response) => say(response, 200, USER_DATA + 'A'.repeat(70_000)),
  'never ends': (_request, response) => {
    response.write(USER_DATA);
    const more = (): void => void (response.destroyed || response.write('A'.repeat(65_536), more));
    more();
  },
  'fills with what is dropped': (_request, response) => say(response, 200, USER_DATA + '\r'.repeat(70_000)),
  'answers drop by drop': (_request, response) => {
    response.write('#branchbox-factory\n');
    const drop = setInterval(() => response.write('A'), 20);
    response.once('close', () => clearInterval(drop));
  },
  'breaks off in the middle': (_request, response) => {
    response.writeHead(200, { 'content-length': USER_DATA.length });
    response.write(USER_DATA.slice(0, -300), () => response.destroy());
  },
  'says nothing': () => {},
  'gives a token that is a header more': (request, response) => {
    if (request.method === 'PUT') say(response, 200, 'x\r\nX-More: yes');
    else say(response, request.headers['x-more'] === undefined ? 401 : 200, USER_DATA);
  },
};

/** What the console tells; where nothing is, only that there is nothing. */
const TOLD: Readonly<Record<string, string>> = {
  'sends elsewhere': 'the metadata service sends elsewhere (302), which is not followed',
  'is a portal': 'the metadata service has data that do not begin with #branchbox-factory',
  'says how much it will be': 'the metadata service has data of more than 65536 bytes',
  'never ends': 'the metadata service has data of more than 65536 bytes',
  'fills with what is dropped': 'the metadata service has data of more than 65536 bytes',
  'answers drop by drop': 'the metadata service did not answer whole in time',
  'breaks off in the middle': 'the metadata service broke off (curl ended with 18)',
  'says nothing': 'the metadata service takes the connection and says nothing',
};

faultTable(
  'cloud metadata service',
  Object.entries(HOSTILE).map(([name, answer]) => ({
    fault: `that ${name}`,
    must: 'believe, follow and wait for nothing of it, leave nothing behind, and start on',
    outcome: 'nothing written, the route taken away',
    told: [TOLD[name], 'no user data of ours'].filter((line) => line !== undefined).join('; '),
    run: async () => {
      const seen = { outcome: '', told: '' };
      await bench.within(async (world) => {
        await serve(world, answer);
        seen.told = (await start(world)).trim().replaceAll('cloud-identity: ', '').replaceAll('\n', '; ');
        nothing(world);
        const routes = world.read('routes') === 'replace\ndel\n' ? 'the route taken away' : 'a route left';
        seen.outcome = `nothing written, ${routes}`;
      });
      return seen;
    },
  })),
);

const packed = (archive: Uint8Array): string =>
  `#branchbox-factory\n${Buffer.from(archive).toString('base64')}\n`;

describe('an archive', () => {
  it.each([
    ['cut short', gzipSync(tar(MEMBERS), { level: 0 }).subarray(0, 6_000), 'no whole archive'],
    [
      'with a bit that flipped',
      gzipSync(tar(MEMBERS)).map((byte, at) => (at === 200 ? byte ^ 4 : byte)),
      'no whole archive',
    ],
    ['that is none', Buffer.from('not gzip at all'), 'no whole archive'],
    ['that packs a hundred times its size', gzipSync(Buffer.alloc(20_000_000)), 'too large'],
  ])('%s leaves nothing', (_what, archive, said) =>
    bench.within(async (world) => {
      await serve(world, (_request, response) => say(response, 200, packed(archive)));
      expect(await start(world)).toContain(said);
      nothing(world);
    }),
  );
});

describe('an identity', () => {
  const without = (left: string): readonly Member[] => MEMBERS.filter(({ name }) => name !== `./${left}`);
  const withModel = (content: string): readonly Member[] => [
    ...without('model'),
    { name: './model', content },
  ];

  it.each<[string, readonly Member[], string]>([
    ...['idevid.key', 'idevid.crt', 'voucher-anchor.pem', 'serial'].map(
      (name): [string, readonly Member[], string] => [`without ${name}`, without(name), `lacks ${name}:`],
    ),
    ['of a model that is not there', withModel('qemux\n'), 'must be one of: generic '],
    ['of a model that is a path', withModel('../models/qemu'), 'must be one of: generic '],
  ])('%s is refused, and nothing of it is written: it would be for ever', (_what, members, said) =>
    bench.within(async (world) => {
      await serve(world, (_request, response) => say(response, 200, packed(gzipSync(tar(members)))));
      expect(await start(world)).toContain(said);
      nothing(world);
    }),
  );

  it.each([
    ['of none', without('model')],
    ['of an empty one', withModel('\n')],
  ])('%s is of the generic model', (_what, members) =>
    bench.within(async (world) => {
      await serve(world, (_request, response) => say(response, 200, packed(gzipSync(tar(members)))));
      await start(world);
      expect(world.read(`${FACTORY}/serial`)).toBe('SN-1\n');
    }),
  );
});

describe('a power cut', () => {
  const service = CLOUDS['EC2 (IMDSv1)'] ?? (() => {});

  it('finds a serial under its name only when it is on the disk: nothing is looked for again where it has one', () =>
    bench.within(async (world) => {
      await serve(world, service);
      await start(world);
      const [before = '', after = ''] = (world.read('syncs') ?? '').split('\n');
      expect(before).toMatch(/^\.serial=5 .*idevid\.key=\d+/);
      expect(before).not.toMatch(/ serial=/);
      expect(after).toMatch(/ serial=5 /);
      expect(after).not.toContain('.serial=');
    }));

  it.each([1, 2])('at sync %i is mended by the next start', (cut) =>
    bench.within(async (world) => {
      await serve(world, service);
      world.put('cut', `${cut}`);
      await expect(start(world)).rejects.toThrow('ended with');
      expect([undefined, 'SN-1\n']).toContain(world.read(`${FACTORY}/serial`));
      world.put('cut', '');
      await start(world);
      arrived(world);
    }),
  );
});
