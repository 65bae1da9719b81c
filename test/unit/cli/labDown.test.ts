/** What `lab down` says of a lab that there is not, and of which others there are. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { describeNoLab, labDown } from '../../../src/cli/labUp.ts';
import { labsBeside } from '../../../src/lab/remains.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-labs-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

it('ends well, and says that there is none of that name', async () => {
  const said: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  // Its lock is the whole machine's: another run of these tests may be asking too.
  const lab = `none-${process.pid}`;
  await labDown(lab);
  expect(said.join('')).toMatch(new RegExp(`^branchbox: there is no lab ${lab}[,;] .+\\n$`));
  // And whoever comes next is let in.
  await labDown(lab);
});

it.each([
  [[], 'there is no lab typo, nor any other'],
  [['default'], 'there is no lab typo; there are: default'],
  [['default', 'second'], 'there is no lab typo; there are: default, second'],
])('beside %j it says: %s', (others, said) => {
  expect(describeNoLab('typo', others)).toBe(said);
});

it('finds the others by what they keep, also what a crash left of them', () => {
  const [run, state] = [join(directory, 'run'), join(directory, 'state')];
  const beside = () => labsBeside({ run: join(run, 'typo'), state: join(state, 'typo') });
  expect(beside()).toEqual([]);
  for (const path of [join(run, 'up'), join(state, 'up'), join(state, 'crashed')]) {
    mkdirSync(path, { recursive: true });
  }
  expect(beside()).toEqual(['crashed', 'up']);
});
