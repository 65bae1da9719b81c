/**
 * Which image a machine of the lab starts from: the checkout's own, by the keys that its firmware is given; never another
 * build that lies in its place, which it would not start.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createToolbox } from '../../image/toolbox.ts';
import { prepareImage } from '../../src/lab/vm/image.ts';
import { createRunner } from '../../src/system/linux/runner.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
const making = { runner: createRunner(), say: () => undefined };
let out: string;

beforeAll(() => {
  mkdirSync(join(CHECKOUT, 'out'), { recursive: true });
  out = mkdtempSync(join(CHECKOUT, 'out/machine-image-'));
});
afterAll(() => rmSync(out, { recursive: true }));

it('is made anew where another build is newer, and taken as it is where nothing changed', async () => {
  const { version } = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8')) as { version: string };
  // As `npm run image -- --keys DIR` or `--variant` leaves it a moment ago.
  const another = { raw: 'a disk', efi: 'a kernel', 'update.jws': 'a manifest', inputs: 'others hash\n' };
  for (const [end, text] of Object.entries(another))
    writeFileSync(join(out, `branchbox-${version}.${end}`), text);
  for (const name of ['SHA256SUMS', 'SHA256SUMS.sig']) writeFileSync(join(out, name), 'of that');

  const { raw, unifiedKernel, tools, secureBoot } = await prepareImage(making, out);
  const toolbox = createToolbox(making.runner, tools);
  const verify = ['sbverify', '--cert', secureBoot.certificate, unifiedKernel];
  expect(await toolbox.run([out, dirname(secureBoot.certificate)], verify)).toMatch(/verification OK/);
  expect(statSync(raw).size).toBeGreaterThan(2 ** 30);
  // They would vouch for what is not there any more.
  expect(['SHA256SUMS', 'SHA256SUMS.sig'].filter((name) => existsSync(join(out, name)))).toEqual([]);

  writeFileSync(join(out, 'SHA256SUMS'), 'of this');
  const { ino } = statSync(raw);
  await prepareImage(making, out);
  expect(statSync(raw).ino).toBe(ino);
  expect(existsSync(join(out, 'SHA256SUMS'))).toBe(true);
}, 1_200_000);
