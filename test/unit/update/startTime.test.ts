/** How long a start took, over looks at a box that comes up and an agent that is started again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createStartTime } from '../../../src/update/startTime.ts';
import type { Vitals } from '../../../src/update/trial.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-start-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('is the first moment at which all was up at once, and stays so', async () => {
  let uptimeMs = 1000;
  const make = () =>
    createStartTime({
      files: createFiles(),
      path: join(directory, 'up-after-ms'),
      uptimeMs: async () => uptimeMs,
    });
  const one = make();
  const look = (path: boolean, app: boolean, rest: Partial<Vitals> = {}): Promise<void> => {
    uptimeMs += 1000;
    const vitals = { desired: true, controller: true, segments: new Map(), ...rest };
    return one.note({ ...vitals, paths: new Map([['p', path]]), apps: new Map([['a', app]]) });
  };
  await look(true, false);
  await look(false, true);
  await look(true, true, { controller: false });
  await look(true, true, { desired: false });
  expect(await one.upAfterMs()).toBeUndefined();
  await look(true, true);
  await look(false, false);
  await look(true, true);
  expect(await one.upAfterMs()).toBe(6000);
  // The agent is started again in the same start of the box.
  const again = make();
  expect(await again.upAfterMs()).toBe(6000);
});
