/**
 * Owns a bootstrap medium's tree as the input of firmware/medium-read, with mounting stood in for.
 */
import { z } from 'zod';
import {
  MEDIUM_DIRECTORY,
  MEDIUM_FILE_MAX_BYTES,
  MEDIUM_FILES,
  MEDIUM_REFUSAL_FILE,
  MEDIUM_REFUSALS,
} from '../../src/model/medium.ts';
import type { Chance } from './chance.ts';
import type { Entry } from './growTree.ts';
import { bentWord, hostileWord } from './hostileWords.ts';
import { json } from './samples.ts';
import { createScriptBench } from './scriptBench.ts';
import {
  capped,
  covering,
  FACTORY,
  jsonOf,
  MEDIA,
  must,
  onlyFiles,
  parsed,
  type Script,
  SECRET,
} from './scriptCase.ts';

const NAMES = Object.values(MEDIUM_FILES);
const Tree = z.array(
  z.strictObject({
    at: z.string(),
    kind: z.enum(['file', 'directory', 'link', 'pipe', 'device']),
    content: z.string().exactOptional(),
    size: z.int().exactOptional(),
    to: z.string().exactOptional(),
  }),
);
const UsbCase = z.strictObject({ serial: z.string(), type: z.string(), tree: Tree });

/** For `$WORLD/medium` in the place of a disk. */
export const MOUNTS: Readonly<Record<string, string>> = {
  blkid: 'cat "$WORLD/type" 2>/dev/null',
  mount: `case "$*" in *remount*) exit 0 ;; esac
printf '%s\\n' "$*" >>"$WORLD/mounts"
for at; do :; done
rmdir "$at" && ln -s "$WORLD/medium" "$at"`,
  umount: 'for at; do :; done; [ -L "$at" ] && rm "$at" && mkdir "$at"',
  sync: ':',
};
const MEDIUM_MOUNT = /^-t (ext4|vfat) -o ro,noexec,nosuid,nodev,nosymfollow(,noload)? /;

export function usbTree(): Script {
  const scripts = { 'medium-read': [] };
  const bench = createScriptBench({ scripts, commands: MOUNTS });
  const at = `${MEDIUM_DIRECTORY}/SN-1`;
  return {
    covers: covering(scripts),
    samples: [
      json({
        serial: 'SN-1\n',
        type: 'ext4',
        tree: NAMES.map((name) => ({ at: `${at}/${name}`, kind: 'file', content: `${name} of SN-1` })),
      }),
    ],
    mutate: jsonOf(UsbCase, (sample, chance) => {
      let tree: readonly Entry[] = sample.tree;
      for (let left = 1 + chance.below(4); left > 0; left -= 1) tree = bendTree(tree, chance);
      const type = chance.once(8) ? bentWord('ext4', chance) : chance.one(['ext4', 'vfat']);
      return { serial: chance.once(8) ? bentWord('SN-1', chance) : sample.serial, type, tree: [...tree] };
    }),
    parse: async (input) => {
      const { data } = UsbCase.safeParse(parsed(input));
      if (data === undefined) return undefined;
      const { serial, type, tree } = data;
      return bench.within(async (world) => {
        world.put(`${FACTORY}/serial`, serial);
        world.put('secret', SECRET);
        world.put('type', `${type}\n`);
        world.put('stick', '');
        world.put('mounts', '');
        world.grow('medium', tree);
        await world.run('medium-read', [`${world.root}/stick`, world.root]);
        const mine = NAMES.map((name) => `${MEDIA}/stick/${name}`);
        const why = `${MEDIA}/stick/${MEDIUM_REFUSAL_FILE}`;
        const written = onlyFiles(world, (path) => ['mounts', why, ...mine].includes(path));
        const read = written.filter((path) => path !== 'mounts' && path !== why);
        if (written.includes(why)) {
          const word = world.read(why) ?? '';
          must(
            Object.keys(MEDIUM_REFUSALS).some((known) => word === `${known}\n`),
            `refuses by ${word}`,
          );
          must(read.length === 0, 'leaves files of what it refuses');
        }
        capped(world, read, MEDIUM_FILE_MAX_BYTES + 1);
        const mounted = (world.read('mounts') ?? '').split('\n').filter(Boolean);
        must(
          mounted.length <= 1 && mounted.every((line) => MEDIUM_MOUNT.test(line)),
          `mounts ${mounted.join()}`,
        );
        return read.length === 0 ? undefined : String(read.length);
      });
    },
  };
}

function bendTree(tree: readonly Entry[], chance: Chance): readonly Entry[] {
  const at = chance.below(tree.length);
  const entry = tree[at] ?? { at: MEDIUM_DIRECTORY, kind: 'directory' };
  const names = entry.at.split('/');
  const part = chance.below(names.length);
  const above = names.slice(0, part + 1).join('/');
  const target = chance.one([
    '/etc/shadow',
    '../../../../secret',
    '../../../secret',
    '/dev/zero',
    '/proc/self/environ',
    '.',
    '..',
    hostileWord(chance),
  ]);
  switch (chance.below(9)) {
    case 0:
      return [{ at: above, kind: 'link', to: target }, ...tree];
    case 1:
      return [{ at: above, kind: chance.one(['pipe', 'device', 'directory', 'file'] as const) }, ...tree];
    case 2:
      return tree.toSpliced(at, 1, {
        ...entry,
        at: names.with(part, bentWord(names[part] ?? '', chance)).join('/'),
      });
    case 3:
      return tree.toSpliced(at, 0, { at: `${above}/${hostileWord(chance)}`, kind: 'file', content: 'x' });
    case 4:
      return tree.toSpliced(at, 1, {
        ...entry,
        size: chance.one([0, MEDIUM_FILE_MAX_BYTES, MEDIUM_FILE_MAX_BYTES + 1, 1024 ** 4]),
      });
    case 5:
      return [...tree, { at: `${above}/${'d/'.repeat(chance.below(60))}x`, kind: 'file', content: 'x' }];
    case 6:
      return [
        ...tree,
        ...Array.from(
          { length: chance.below(40) },
          (_, number): Entry => ({ at: `${above}/${number}`, kind: 'file' }),
        ),
      ];
    case 7:
      return tree.toSpliced(at, 1);
    default:
      return tree.toSpliced(at, 1, { ...entry, content: hostileWord(chance) });
  }
}
