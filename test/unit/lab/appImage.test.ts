/** What making the lab's app leaves where it is killed half-way: nothing outside the lab's own files. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { buildAppImage } from '../../../src/lab/appImage.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import { ownDirectory } from '../../ownDirectory.ts';

it('builds beside what it makes, and leaves that alone', async () => {
  const tree = ownDirectory();
  mkdirSync(join(tree, 'bin'));
  writeFileSync(join(tree, 'bin/busybox'), 'busybox');
  const out = join(ownDirectory(), 'red-app.tar');
  const places: string[] = [];
  const runner = createRunner();
  const watched: typeof runner = {
    ...runner,
    runChecked: (command, args, options) => {
      places.push(args[args.indexOf('-C') + 1] ?? '');
      return runner.runChecked(command, args, options);
    },
  };
  await buildAppImage(watched, { tree, image: { reference: 'lab/red-app:1', appName: 'red-app' }, out });
  expect(places).toHaveLength(2);
  for (const place of places) expect(place.startsWith(`${dirname(out)}/`)).toBe(true);
  expect(readdirSync(dirname(out))).toEqual(['red-app.tar']);
});
