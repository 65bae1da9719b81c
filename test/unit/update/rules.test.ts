/** The pure rules of an update: versions, names, tables, refusals, windows, what a start means. */
import { describe, expect, it } from 'vitest';
import { FirmwareManifest, UpdateWindow } from '../../../src/model/firmware.ts';
import { badEntryName, type BootEntry, parseEntryName, trialEntryName } from '../../../src/update/entries.ts';
import { windowState } from '../../../src/update/pace.ts';
import { type Observation, planUpdate } from '../../../src/update/plan.ts';
import { parseTable, partitionUuids } from '../../../src/update/slots.ts';
import {
  baselineOf,
  judgeBoot,
  shortfalls,
  type TrialRecord,
  type Vitals,
} from '../../../src/update/trial.ts';
import { readRootHash, rootHashOf } from '../../../src/update/uki.ts';
import { compareFirmwareVersions } from '../../../src/update/version.ts';
import { makeVersion } from '../../fakes/firmwareDisk.ts';

describe('versions', () => {
  // UAPI.10's own list, oldest first.
  const ordered = [
    '122.1',
    '123~rc1-1',
    '123',
    '123-a',
    '123-a.1',
    '123-1',
    '123-1.1',
    '123^post1',
    '123.a-1',
    '123.1-1',
    '123a-1',
    '124-1',
  ];
  it.each(ordered.slice(1).map((later, i) => [ordered[i] ?? '', later]))(
    '%s is older than %s',
    (older, newer) => {
      expect(compareFirmwareVersions(older, newer)).toBe(-1);
      expect(compareFirmwareVersions(newer, older)).toBe(1);
      expect(compareFirmwareVersions(newer, newer)).toBe(0);
    },
  );
  it.each([
    ['0.9.0', '0.10.0', -1],
    ['1.0', '1.00', 0],
    ['1.0.0', '1.0', 1],
    ['2', '10', -1],
    ['99999999999999999999998', '99999999999999999999999', -1],
  ])('%s against %s', (a, b, order) => expect(compareFirmwareVersions(a, b)).toBe(order));
});

describe('boot entries', () => {
  it.each([
    ['branchbox_0.1.0.efi', '0.1.0', undefined, 0],
    ['branchbox_0.2.0+2.efi', '0.2.0', 2, 0],
    ['branchbox_0.2.0~rc1+1-1.efi', '0.2.0~rc1', 1, 1],
    ['branchbox_1-2+0-2.efi', '1-2', 0, 2],
  ])('%s', (file, version, triesLeft, triesDone) =>
    expect(parseEntryName(file)).toEqual({ file, version, triesLeft, triesDone }),
  );
  it.each([
    'other_1.efi',
    'branchbox_.efi',
    'branchbox_1+.efi',
    'branchbox_1+2-.efi',
    '.branchbox.new',
    'branchbox_1.EFI',
  ])('%s is none of ours', (file) => expect(parseEntryName(file)).toBeUndefined());
  it('are marked so that the loader passes over them, by how often they were tried', () => {
    expect(badEntryName({ version: '1.1.0', triesDone: 1 })).toBe('branchbox_1.1.0+0-1.efi');
    expect(trialEntryName('1.1.0')).toBe('branchbox_1.1.0+2.efi');
  });
});

describe('a root hash', () => {
  const hash = 'ab'.repeat(16) + 'cd'.repeat(16);
  it('is split over the partitions of its slot, and read from them', () => {
    const uuids = partitionUuids(hash);
    expect(uuids).toEqual({
      root: 'abababab-abab-abab-abab-abababababab',
      verity: 'cdcdcdcd-cdcd-cdcd-cdcd-cdcdcdcdcdcd',
    });
    const partition = (n: number, name: string, uuid: string) => ({
      node: `/dev/nvme0n1p${n}`,
      start: n,
      size: 100,
      type: 'x',
      uuid,
      name,
    });
    const other = '00000000-0000-0000-0000-000000000000';
    const partitions = [
      partition(1, 'esp', other),
      partition(2, 'branchbox-root-a', uuids.root.toUpperCase()),
      partition(3, 'branchbox-verity-a', uuids.verity.toUpperCase()),
      partition(4, 'branchbox-root-b', other),
      partition(5, 'branchbox-verity-b', other),
    ];
    const table = (list: readonly unknown[]) =>
      JSON.stringify({
        partitiontable: { label: 'gpt', device: '/dev/nvme0n1', unit: 'sectors', partitions: list },
      });
    const { slots, esp } = parseTable(table(partitions));
    expect([slots.a.rootHash, slots.b.root.number, slots.b.root.sizeBytes, esp.node]).toEqual([
      hash,
      4,
      51_200,
      '/dev/nvme0n1p1',
    ]);
    expect(() => parseTable(table(partitions.slice(0, 4)))).toThrow(/no partition branchbox-verity-b/);
    expect(() => parseTable(table([...partitions, partition(6, 'esp', other)]))).toThrow(/more than one/);
    expect(() => parseTable('{')).toThrow(/cannot be read/);
  });
  it.each([
    [`ro roothash=${hash} panic=10`, hash],
    [`roothash=${hash}`, hash],
    [`usrroothash=${hash}`, undefined],
    [`roothash=${hash}0`, undefined],
    ['ro', undefined],
  ])('of %s', (line, found) => expect(rootHashOf(line)).toBe(found));
  it('is read from no file that is not a whole UKI', async () => {
    const read = (bytes: Buffer) => async (offset: number, length: number) =>
      bytes.subarray(offset, offset + length);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(4096), Buffer.alloc(4096, 0xff), Buffer.from('MZ')]) {
      expect(await readRootHash(read(bytes))).toBeUndefined();
    }
  });
});

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
    const older = makeVersion('0.9.0').target;
    expect(problemsOf(observed(), older)).toEqual(['$.version']);
    expect(problemsOf(observed(), older, true)).toBe('steps');
    expect(
      problemsOf(observed(), { ...NEW.target, manifest: { ...NEW.target.manifest, rootHash: oldHash } }),
    ).toBe('current');
  });
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
      apps: new Map([['app', false]]),
    });
    expect(shortfalls(baseline, down).map(({ path }) => path)).toEqual([
      'controller',
      'path a~hub',
      'app app',
    ]);
    expect(shortfalls(baseline, undefined)).toHaveLength(1);
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
    // A downgrade that failed its one start has a try left, which it must not use.
    [judge({ ...old, entries: [was, entry('1.1.0', newHash, 1, 1)] }, record()), 'panicked-or-hung'],
  ])('%s', (found, expected) => expect(found).toBe(expected));
});
