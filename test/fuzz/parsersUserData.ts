/**
 * Owns an instance's user data as the input of firmware/cloud-identity, from a disk or a cloud's service.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { Serial } from '../../src/model/ids.ts';
import { MEDIUM_DIRECTORY, MEDIUM_FILE_MAX_BYTES, MEDIUM_FILES } from '../../src/model/medium.ts';
import { bentWord, hostileWord } from './hostileWords.ts';
import { hostileArchive, type Member, tar } from './mutateTar.ts';
import { MOUNTS } from './parsersUsb.ts';
import { json } from './samples.ts';
import { createScriptBench } from './scriptBench.ts';
import {
  capped,
  covering,
  FACTORY,
  jsonOf,
  LEASES,
  MEDIA,
  must,
  onlyFiles,
  parsed,
  type Script,
  SECRET,
} from './scriptCase.ts';

const NAMES = Object.values(MEDIUM_FILES);
/** As firmware/cloud-identity has them. */
const IDENTITY = [
  'idevid.key',
  'idevid.crt',
  'chain.pem',
  'voucher-anchor.pem',
  'serial',
  'model',
  'bootstrap-servers',
];
const USER_DATA_MAX_BYTES = 65_536;

const CLOUDS = ['cidata', 'config-2', 'ec2', 'google', 'azure', 'oracle', 'openstack'] as const;
const CloudCase = z.strictObject({
  /** A disk's label, or whose metadata service answers. */
  from: z.enum(CLOUDS),
  userData: z.string(),
  token: z.string(),
  lease: z.string(),
});

const FIRST_LINE = '#branchbox-factory\n';
const MODELS = fileURLToPath(new URL('../../firmware/models', import.meta.url));
const goodMembers = (serial = 'SN-1'): readonly Member[] => [
  ...IDENTITY.map((name) => ({
    name: `./${name}`,
    content: `${name === 'serial' ? serial : name === 'model' ? 'generic' : `content of ${name}`}\n`,
  })),
  ...NAMES.map((name) => ({
    name: `./${MEDIUM_DIRECTORY}/${serial}/${name}`,
    content: `${name} of ${serial}`,
  })),
];
const textOf = (archive: Uint8Array): string =>
  Buffer.from(archive)
    .toString('base64')
    .replaceAll(/(.{76})/g, '$1\n');

/** As a cloud answers; capped by nobody. */
const CURL = `case "$*" in
*' PUT '*'/latest/api/token') cat "$WORLD/token" ;;
*'/latest/user-data') cat "$WORLD/ec2" ;;
*computeMetadata*) cat "$WORLD/google" ;;
*'/metadata/instance/'*) base64 "$WORLD/azure" ;;
*/opc/v2/*) base64 "$WORLD/oracle" ;;
*/openstack/*) cat "$WORLD/openstack" ;;
*) false ;;
esac 2>/dev/null || exit 22
printf '0 200' >&2`;

const TOLD = 'run/branchbox/cloud-identity';

export function cloudUserData(): Script {
  const scripts = { 'cloud-identity': ['/run'], 'medium-read': [] };
  const bench = createScriptBench({
    scripts,
    commands: {
      ...MOUNTS,
      blkid: 'for word; do :; done; [ ! -e "$WORLD/disk-${word#LABEL=}" ] || echo "$WORLD/disk"',
      curl: CURL,
      ip: ':',
      sleep: ':',
    },
  });
  return {
    covers: covering(scripts),
    samples: CLOUDS.map((from) =>
      json({
        from,
        userData: FIRST_LINE + textOf(gzipSync(tar(goodMembers()))),
        token: 'secret==',
        lease: 'new_routers=10.9.0.1\n',
      }),
    ),
    mutate: jsonOf(CloudCase, (sample, chance) => {
      const archive = hostileArchive(goodMembers(chance.once(4) ? bentWord('SN-1', chance) : 'SN-1'), chance);
      const text = textOf(archive);
      const body = chance.once(8) ? bentWord(text, chance) : text;
      const first = chance.once(10) ? bentWord(FIRST_LINE, chance) : FIRST_LINE;
      return {
        from: sample.from,
        userData: (first + body).replaceAll('\n', chance.once(4) ? '\r\n' : '\n'),
        token: chance.once(3) ? bentWord(sample.token, chance) : sample.token,
        lease: chance.once(3)
          ? `new_routers=${bentWord('10.9.0.1', chance)}\n${hostileWord(chance)}`
          : sample.lease,
      };
    }),
    parse: async (input) => {
      const { data } = CloudCase.safeParse(parsed(input));
      if (data === undefined) return undefined;
      const { from, userData, token, lease } = data;
      return bench.within(async (world) => {
        world.put('secret', SECRET);
        world.put('token', token);
        world.put('mounts', '');
        world.put(`${LEASES}/wan0.env`, lease);
        world.grow(FACTORY, []);
        if (from === 'cidata' || from === 'config-2') world.put(`disk-${from}`, '');
        const file = from === 'cidata' ? 'medium/user-data' : 'medium/openstack/latest/user_data';
        world.put(from === 'cidata' || from === 'config-2' ? file : from, userData);
        await world.run('cloud-identity', [`${world.root}/${FACTORY}`], { BRANCHBOX_MODELS: MODELS });
        const media = NAMES.map((name) => `${MEDIA}/user_data_medium/${name}`);
        const identity = IDENTITY.map((name) => `${FACTORY}/${name}`);
        const written = onlyFiles(world, (path) => ['mounts', TOLD, ...media, ...identity].includes(path));
        // What `branchbox bootstrap status` reads of it.
        capped(world, [TOLD], 4096);
        const taken = written.filter((path) => identity.includes(path));
        capped(world, taken, USER_DATA_MAX_BYTES);
        capped(
          world,
          written.filter((path) => media.includes(path)),
          MEDIUM_FILE_MAX_BYTES + 1,
        );
        must(
          userData.length <= USER_DATA_MAX_BYTES || taken.length === 0,
          'took more than user data may have',
        );
        const serial = world.read(`${FACTORY}/serial`);
        // Before the serial nothing counts yet: what ended in the middle is made anew.
        for (const path of serial === undefined ? [] : taken) {
          const mode = path.endsWith('.key') ? 0o600 : 0o644;
          must(world.modeOf(path) === mode, `${path} has the mode ${world.modeOf(path).toString(8)}`);
        }
        const whole = ['idevid.key', 'idevid.crt', 'voucher-anchor.pem'].map((name) => `${FACTORY}/${name}`);
        must(
          serial === undefined || whole.every((path) => taken.includes(path)),
          'a serial without the rest of an identity',
        );
        const model = world.read(`${FACTORY}/model`)?.trim() ?? '';
        must(
          serial === undefined || model === '' || existsSync(join(MODELS, `${model}.toml`)),
          'no such model',
        );
        const first = serial?.split('\n')[0]?.replaceAll('\0', '').trim();
        const isSerial = Serial.safeParse(first).success;
        must(isSerial || written.every((path) => !media.includes(path)), 'a medium of no serial');
        return serial === undefined ? undefined : `${written.length}`;
      });
    },
  };
}
