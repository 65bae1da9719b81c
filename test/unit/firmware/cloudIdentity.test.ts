/**
 * An instance's user data from each cloud's metadata service, as each is asked in its own way, and off a disk; what is refused of
 * it, and what a power cut leaves. Services that answer as none should: cloudService.test.ts. Over real disks and routes:
 * test/lab/cloudIdentity.test.ts.
 */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type Member, tar } from '../../fuzz/mutateTar.ts';
import {
  arrived,
  bench,
  CLOUDS,
  FACTORY,
  MEMBERS,
  nothing,
  say,
  serve,
  start,
  USER_DATA,
} from './cloudInstance.ts';

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

  it('that is not base64 leaves nothing', () =>
    bench.within(async (world) => {
      await serve(world, (_request, response) => say(response, 200, '#branchbox-factory\nH4sI, and so on\n'));
      expect(await start(world)).toContain('cloud-identity: the user data is not base64');
      nothing(world);
    }));
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

describe('a factory partition that takes no identity', () => {
  it('is told, with why: the instance would look like one that was given none', () =>
    bench.within(async (world) => {
      await serve(world, CLOUDS['EC2 (IMDSv1)'] ?? (() => {}));
      // Whatever is in the way of a file.
      world.put(`${FACTORY}/chain.pem/chain.pem/x`, '');
      expect(await start(world)).toMatch(
        /cloud-identity: the identity cannot be written to \S+factory \(install: .*chain\.pem.*\): start the instance again/,
      );
      expect(world.read(`${FACTORY}/serial`)).toBeUndefined();
      expect(world.read('run/branchbox/cloud-identity')).toContain('cannot be written');
    }));
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
