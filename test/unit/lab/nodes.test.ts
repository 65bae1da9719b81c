/** What is told of a node that did not start: how long was waited or how it ended, what it said, and what mends it. */
import { expect, it } from 'vitest';
import { notStarted } from '../../../src/lab/nodes.ts';

const console = '/var/lib/branchbox-lab/x/nodes/branch1/console.log';

it('says of one whose time was over how long that was, and how to give it more', () => {
  const told = notStarted('branch1', { exitCode: null, words: '', console });
  // As long as this machine's user lets the lab wait.
  expect(told.message).toMatch(/^node branch1 did not start within [\d.]+ s, and said nothing$/);
  expect(told.mend).toContain('BRANCHBOX_LAB_PATIENCE');
});

it('says of one that ended with what, its last words, and where the others are', () => {
  const told = notStarted('branch1', { exitCode: 32, words: 'mount: no', console });
  expect(told.message).toBe('node branch1 ended with 32 before it had started, and said last: mount: no');
  expect(told.mend).toContain(console);
});
