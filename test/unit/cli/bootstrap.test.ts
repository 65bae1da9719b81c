/** `branchbox bootstrap status` says of every state what the page says: what it waits for, since when, what to do. */
import { expect, it } from 'vitest';
import { describeBootstrap } from '../../../src/cli/bootstrap.ts';
import { BOOTSTRAP_STATES, type BootstrapStatus, sentencesOf } from '../../../src/model/bootstrap.ts';
import { renderStatusPage } from '../../../src/web/installer/page.ts';

const view = { ports: [], uplinkTest: undefined, nowMs: 0, ownAddress: '172.31.254.1' };
const status = (more: Partial<BootstrapStatus>): BootstrapStatus => ({
  state: 'ENROLLING',
  sinceMs: 0,
  ...sentencesOf(more.state ?? 'ENROLLING', more.secondFactor),
  serial: 'SN-1',
  history: [],
  ...more,
});

it.each(BOOTSTRAP_STATES)(
  '%s is told in the same words on the page, at once and while it is followed',
  (state) => {
    const told = status({ state });
    const page = renderStatusPage({ ...view, progress: told }).replaceAll('&#39;', "'");
    for (const text of [page, describeBootstrap(told, false), describeBootstrap(told, true)]) {
      for (const words of [state, told.waitsFor, told.mend, '1970-01-01T00:00:00'])
        expect(text).toContain(words);
    }
  },
);

it('that a code was not taken, and why, is told at the box as on the page', () => {
  const message = 'The code is too old. Ask for a new one.';
  const told = status({ secondFactor: { state: 'refused', message } });
  for (const short of [false, true]) expect(describeBootstrap(told, short)).toContain(message);
  expect(renderStatusPage({ ...view, progress: told })).toContain(message);
});
