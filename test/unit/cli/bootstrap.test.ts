/** `branchbox bootstrap status` says of every state what the page says: what it waits for, since when, what to do. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BOOTSTRAP_PATHS } from '../../../src/bootstrap/paths.ts';
import { readStatus } from '../../../src/bootstrap/statusByFiles.ts';
import { describeBootstrap } from '../../../src/cli/bootstrap.ts';
import { BOOTSTRAP_STATES, BootstrapStatus, sentencesOf } from '../../../src/model/bootstrap.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { renderStatusPage } from '../../../src/web/installer/page.ts';

const view = { ports: [], uplinkTest: undefined, nowMs: 0, ownAddress: '172.31.254.1' };
const status = (more: Partial<BootstrapStatus>): BootstrapStatus => ({
  state: 'ENROLLING',
  sinceMs: Date.UTC(2026, 5, 1),
  ...sentencesOf(more.state ?? 'ENROLLING', more.secondFactor),
  serial: 'SN-1',
  history: [{ state: more.state ?? 'ENROLLING', enteredAtMs: Date.UTC(2026, 5, 1), note: {} }],
  ...more,
});

it.each(BOOTSTRAP_STATES)(
  '%s is told in the same words on the page, at once and while it is followed',
  (state) => {
    const told = status({ state });
    const page = renderStatusPage({ ...view, progress: told }).replaceAll('&#39;', "'");
    for (const text of [page, describeBootstrap(told, false), describeBootstrap(told, true)]) {
      for (const words of [state, told.waitsFor, told.mend, '2026-06-01T00:00:00'])
        expect(text).toContain(words);
    }
  },
);

it('of a state that began before the clock was set it names no moment', () => {
  const began = 12_000;
  const told = status({ sinceMs: began, history: [{ state: 'ENROLLING', enteredAtMs: began, note: {} }] });
  const page = renderStatusPage({ ...view, nowMs: Date.UTC(2026, 5, 1), progress: told });
  for (const text of [page, describeBootstrap(told, false), describeBootstrap(told, true)]) {
    expect(text).not.toContain('1970');
    expect(text).toContain('clock');
  }
  expect(describeBootstrap(told, true)).toMatch(
    /^ENROLLING, nobody knows since when \(the clock was not set\), /,
  );
  expect(describeBootstrap(told, false)).toMatch(/^ {2}\(clock not set\) {9} ENROLLING$/m);
});

it('that a code was not taken, and why, is told at the box as on the page', () => {
  const message = 'The code is too old. Ask for a new one.';
  const told = status({ secondFactor: { state: 'refused', message } });
  for (const short of [false, true]) expect(describeBootstrap(told, short)).toContain(message);
  expect(renderStatusPage({ ...view, progress: told })).toContain(message);
});

it('what did not stop it and is worth a look is told at the box as on the page', () => {
  const notices = ['nobody answers over lte (look at its cable)', 'dhcp:wan1[0] is passed over'];
  const told = status({ notices });
  for (const notice of notices) {
    for (const short of [false, true])
      expect(describeBootstrap(told, short)).toContain(`  notice: ${notice}`);
    expect(renderStatusPage({ ...view, progress: told })).toContain(
      `<dt>Worth a look</dt><dd>${notice}</dd>`,
    );
  }
});

it('of a machine without an identity it says where one was looked for', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bbt-bootstrap-'));
  try {
    const paths = { ...BOOTSTRAP_PATHS, factory: directory, state: join(directory, 'state'), resetMarks: [] };
    const told = join(directory, 'cloud-identity');
    await expect(readStatus(createFiles(), paths, told)).rejects.toThrow(/has no factory identity$/);
    writeFileSync(told, 'the metadata service takes the connection and says nothing\nno user data of ours\n');
    await expect(readStatus(createFiles(), paths, told)).rejects.toThrow(
      'no factory identity (looked for in user data of a cloud: the metadata service takes the connection and says nothing; no user data of ours)',
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

it('of a box whose journal has no line yet it names no moment, and says that nothing was begun', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bbt-bootstrap-'));
  try {
    const paths = { ...BOOTSTRAP_PATHS, factory: directory, state: join(directory, 'state'), resetMarks: [] };
    writeFileSync(join(directory, 'serial'), 'SN-1\n');
    const told = await readStatus(createFiles(), paths);
    expect(BootstrapStatus.parse(told)).toMatchObject({ state: 'FACTORY', sinceMs: 0, history: [] });
    expect(told.lastProblem).toBe('the identity process does not run; its journal has no line yet');
    for (const short of [false, true]) {
      const text = describeBootstrap(told, short);
      expect(text).toContain('FACTORY: nothing was begun yet, waits for the start of bootstrap');
      expect(text).not.toContain('1970');
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
