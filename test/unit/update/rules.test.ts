/** The pure rules of an update: refusals, windows, what a start means. */
import { describe, expect, it } from 'vitest';
import { FirmwareManifest, UpdateWindow } from '../../../src/model/firmware.ts';
import { type BootEntry, halfRenamed } from '../../../src/update/entries.ts';
import { windowState } from '../../../src/update/pace.ts';
import { type Observation, planUpdate } from '../../../src/update/plan.ts';
import {
  baselineOf,
  judgeBoot,
  shortfalls,
  type TrialRecord,
  type Vitals,
} from '../../../src/update/trial.ts';
import { makeVersion } from '../../fakes/firmwareVersion.ts';

const OLD = makeVersion('1.0.0');
const NEW = makeVersion('1.1.0');
const entry = (version: string, rootHash: string, triesLeft?: number, triesDone = 0): BootEntry => ({
  file:
    triesLeft === undefined
      ? `branchbox_${version}.efi`
      : `branchbox_${version}+${triesLeft}-${triesDone}.efi`,
  version,
  triesLeft,
  triesDone,
  sizeBytes: 900,
  rootHash,
});
const [oldHash, newHash] = [OLD.target.manifest.rootHash, NEW.target.manifest.rootHash];
const observed = (change: Partial<Observation> = {}): Observation => ({
  running: { version: '1.0.0', rootHash: oldHash },
  slots: {
    a: { rootHash: oldHash, rootBytes: 5000, verityBytes: 500 },
    b: { rootHash: '0'.repeat(64), rootBytes: 5000, verityBytes: 500 },
  },
  entries: [entry('1.0.0', oldHash)],
  espFreeBytes: 1000,
  leftovers: [],
  ...change,
});

describe('an update is refused before anything is touched', () => {
  const problemsOf = (seen: Observation, target = NEW.target, allowDowngrade = false) => {
    const plan = planUpdate(seen, undefined, target, { allowDowngrade });
    return plan.kind === 'refuse' ? plan.problems.map(({ path }) => path) : plan.kind;
  };
  it.each<[string, Observation, string[]]>([
    ['while what runs is itself on trial', observed({ entries: [entry('1.0.0', oldHash, 1, 1)] }), ['$']],
    [
      'from a root that is in no slot',
      observed({
        running: { version: '1.0.0', rootHash: 'e'.repeat(64) },
        entries: [entry('1.0.0', 'e'.repeat(64))],
      }),
      ['$'],
    ],
    ['that does not fit the ESP', observed({ espFreeBytes: 10 }), ['$.parts[2].sizeBytes']],
  ])('%s', (_, seen, paths) => expect(problemsOf(seen)).toEqual(paths));
  it('but for what other entries leave free, and a downgrade that is allowed', () => {
    expect(
      problemsOf(
        observed({ espFreeBytes: 10, entries: [entry('1.0.0', oldHash), entry('0.9.0', 'd'.repeat(64))] }),
      ),
    ).toBe('steps');
    // As is what a write that was cut left there.
    const leftovers = [{ file: '.branchbox.new', sizeBytes: 890 }];
    expect(problemsOf(observed({ espFreeBytes: 10, leftovers }))).toBe('steps');
    const older = makeVersion('0.9.0').target;
    expect(problemsOf(observed(), older)).toEqual(['$.version']);
    expect(problemsOf(observed(), older, true)).toBe('steps');
    expect(
      problemsOf(observed(), { ...NEW.target, manifest: { ...NEW.target.manifest, rootHash: oldHash } }),
    ).toBe('current');
  });
});

describe('what was placed once and is not there untried', () => {
  const progress = {
    schema: 1,
    digest: NEW.target.digest,
    version: '1.1.0',
    slot: 'b',
    durableBytes: { root: 4000, verity: 250, uki: 900 },
    verified: true,
    placed: true,
  } as const;
  const named = { ...observed().slots, b: { ...observed().slots.b, rootHash: newHash } };
  const stepsOf = (entries: readonly BootEntry[], placed: boolean): readonly string[] => {
    const seen = observed({ slots: named, entries: [entry('1.0.0', oldHash), ...entries] });
    const plan = planUpdate(seen, { ...progress, placed }, NEW.target, { allowDowngrade: false });
    return plan.kind === 'steps' ? plan.steps.map(({ op }) => op) : [plan.kind];
  };
  it('is read back before the loader is shown it again', () => {
    expect(stepsOf([entry('1.1.0', newHash)], true)).toEqual(['remove-entries', 'verify', 'place-entry']);
    expect(stepsOf([entry('1.1.0', newHash, 0, 2)], true)).toEqual([
      'remove-entries',
      'verify',
      'place-entry',
    ]);
    expect(stepsOf([], false)).toEqual(['place-entry']);
    expect(stepsOf([{ ...entry('1.1.0', newHash, 2), file: 'branchbox_1.1.0+2.efi' }], true)).toEqual([]);
  });
});

it('a rename that was cut is one version under two names, and nothing else is', () => {
  const old = entry('1.0.0', oldHash);
  const counted = entry('1.1.0', newHash, 1, 1);
  const half = { kept: 'branchbox_1.1.0.efi', other: 'branchbox_1.1.0+1-1.efi' };
  expect(halfRenamed([old, counted, entry('1.1.0', newHash)])).toEqual([half]);
  // What a repair emptied names no root.
  expect(halfRenamed([old, counted, { ...entry('1.1.0', newHash), rootHash: undefined }])).toEqual([half]);
  // By the loader, or by a verdict of bad: a name that counts less is the later one.
  const untried = { ...entry('1.1.0', newHash, 2), file: 'branchbox_1.1.0+2.efi' };
  expect(halfRenamed([old, counted, untried])).toEqual([{ kept: counted.file, other: untried.file }]);
  const bad = entry('1.1.0', newHash, 0, 1);
  expect(halfRenamed([old, bad, counted])).toEqual([{ kept: bad.file, other: counted.file }]);
  expect(halfRenamed([old, counted])).toEqual([]);
  expect(halfRenamed([old, counted, entry('1.1.0', oldHash)])).toEqual([]);
});

it('a manifest has each part once, none larger than its place, and plain names', () => {
  const { manifest } = NEW.target;
  const fits = (change: object): boolean => FirmwareManifest.safeParse({ ...manifest, ...change }).success;
  const [root, verity, uki] = manifest.parts;
  expect(fits({})).toBe(true);
  expect(fits({ parts: [root, root, uki] })).toBe(false);
  expect(fits({ parts: [root, verity, { ...uki, file: '../x.efi' }] })).toBe(false);
  expect(fits({ parts: [root, { ...verity, sizeBytes: 17 * 1024 * 1024 }, uki] })).toBe(false);
  expect(fits({ version: '1.1.0+2' })).toBe(false);
  expect(fits({ schema: 2 })).toBe(false);
  expect(fits({ extra: 1 })).toBe(false);
});

describe('a window', () => {
  const at = (time: string): number =>
    Date.UTC(2026, 5, 1, ...(time.split(':').map(Number) as [number, number]));
  const hour = 3_600_000;
  it.each([
    ['01:00', '04:00', '00:30', { open: false, opensInMs: hour / 2 }],
    ['01:00', '04:00', '01:00', { open: true, closesInMs: 3 * hour }],
    ['01:00', '04:00', '04:00', { open: false, opensInMs: 21 * hour }],
    ['22:00', '02:00', '23:00', { open: true, closesInMs: 3 * hour }],
    ['22:00', '02:00', '01:00', { open: true, closesInMs: hour }],
    ['22:00', '02:00', '12:00', { open: false, opensInMs: 10 * hour }],
  ])('%s to %s at %s', (start, end, now, state) =>
    expect(windowState({ start, end }, at(now))).toEqual(state),
  );
  it('is a real one', () => {
    expect(UpdateWindow.safeParse({ start: '24:00', end: '01:00' }).success).toBe(false);
    expect(UpdateWindow.safeParse({ start: '01:00', end: '01:00' }).success).toBe(false);
    expect(windowState(undefined, at('01:00'))).toEqual({ open: true, closesInMs: undefined });
  });
});

describe('a trial', () => {
  const vitals = (change: Partial<Vitals> = {}): Vitals => ({
    desired: true,
    controller: true,
    paths: new Map([
      ['a~hub', true],
      ['b~hub', false],
    ]),
    segments: new Map([['red', true]]),
    apps: new Map([['app', true]]),
    ...change,
  });
  const baseline = baselineOf(vitals());
  it('is held to what was up before, and to nothing that was not, or is not wanted any more', () => {
    expect(shortfalls(baseline, vitals())).toEqual([]);
    expect(shortfalls(baseline, vitals({ apps: new Map() }))).toEqual([]);
    const down = vitals({
      controller: false,
      paths: new Map([['a~hub', false]]),
      segments: new Map([['red', false]]),
      apps: new Map([['app', false]]),
    });
    expect(shortfalls(baseline, down).map(({ path }) => path)).toEqual([
      'controller',
      'path a~hub',
      'segment red',
      'app app',
    ]);
    expect(shortfalls(baseline, undefined)).toHaveLength(1);
    // Nothing tells what was up: all that is wanted.
    expect(shortfalls(undefined, vitals()).map(({ path }) => path)).toEqual(['path b~hub']);
    expect(shortfalls(undefined, vitals({ desired: false, controller: false, paths: new Map() }))).toEqual([
      expect.objectContaining({ path: 'desired state' }),
      expect.objectContaining({ path: 'controller' }),
    ]);
    // A version that cannot read its desired state misses nothing else.
    const blank = vitals({ desired: false, paths: new Map(), segments: new Map(), apps: new Map() });
    expect(shortfalls(baseline, blank).map(({ path }) => path)).toEqual(['desired state']);
  });

  const record = (change: Partial<TrialRecord> = {}): TrialRecord => ({
    schema: 1,
    digest: 'd',
    version: '1.1.0',
    rootHash: newHash,
    from: { version: '1.0.0', rootHash: oldHash },
    bootId: 'one',
    recordedAtMs: 1,
    attempts: 1,
    baseline,
    agentSeen: false,
    ...change,
  });
  const old = { running: { version: '1.0.0', rootHash: oldHash } };
  const next = { running: { version: '1.1.0', rootHash: newHash } };
  const was = entry('1.0.0', oldHash);
  const judge = (
    seen: { running: Observation['running']; entries: readonly BootEntry[] },
    trial: TrialRecord | undefined,
    ended?: string,
  ) => {
    const verdict = judgeBoot(seen, trial, { bootId: 'two', ended });
    return verdict.kind === 'rolled-back' ? verdict.cause : verdict.kind;
  };
  it.each<[string, string]>([
    [judge({ ...old, entries: [was] }, undefined), 'settled'],
    [judge({ ...next, entries: [was, entry('1.1.0', newHash, 1, 1)] }, record()), 'on-trial'],
    // Its last try: the loader took it off before it started it.
    [judge({ ...next, entries: [was, entry('1.1.0', newHash, 0, 2)] }, record()), 'on-trial'],
    [judge({ ...next, entries: [was, entry('1.1.0', newHash, 1, 1)] }, undefined), 'on-trial'],
    [judge({ ...next, entries: [was, entry('1.1.0', newHash)] }, record()), 'committed'],
    [judge({ ...old, entries: [was, entry('1.1.0', newHash, 0, 2)] }, record()), 'panicked-or-hung'],
    [judge({ ...old, entries: [was] }, record()), 'panicked-or-hung'],
    [judge({ ...old, entries: [was, entry('1.1.0', newHash, 0, 1)] }, record(), 'no verdict'), 'no-verdict'],
    [
      judge({ ...old, entries: [was, entry('1.1.0', newHash, 0, 1)] }, record({ unhealthy: [] })),
      'unhealthy',
    ],
    [judge({ ...old, entries: [was, entry('1.1.0', newHash, 2)] }, record()), 'restart-due'],
    [
      judge({ ...old, entries: [was, entry('1.1.0', newHash, 2)] }, record({ bootId: 'two', attempts: 3 })),
      'restart-due',
    ],
    [judge({ ...old, entries: [was, entry('1.1.0', newHash, 2)] }, record({ attempts: 3 })), 'never-started'],
    // Cut before the restart was decided: planned again, where the loader did not start it meanwhile.
    [judge({ ...old, entries: [was] }, record({ due: false })), 'unfinished'],
    [judge({ ...old, entries: [was, entry('1.1.0', newHash, 2)] }, record({ due: false })), 'unfinished'],
    [judge({ ...next, entries: [was, entry('1.1.0', newHash, 1, 1)] }, record({ due: false })), 'on-trial'],
    [
      judge({ ...old, entries: [was, entry('1.1.0', newHash, 0, 2)] }, record({ due: false })),
      'panicked-or-hung',
    ],
    // A downgrade that failed its one start has a try left, which it must not use.
    [judge({ ...old, entries: [was, entry('1.1.0', newHash, 1, 1)] }, record()), 'panicked-or-hung'],
  ])('%s', (found, expected) => expect(found).toBe(expected));
});
