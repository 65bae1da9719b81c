/**
 * The updater on a real disk: a table by sfdisk, a FAT ESP, block devices, dm-verity's own judge; killed, cut off from
 * its server, and handed what it must refuse.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SECURE_BOOT, SIGNATURE_DATABASE } from '../../src/update/secureBoot.ts';
import { parseTable } from '../../src/update/slots.ts';
import { manifestOf } from '../fakes/firmwareVersion.ts';
import { makeDatabase, makeSignedProgram } from '../fakes/signedProgram.ts';
import { makeAuthority, type Release } from './firmwareRelease.ts';
import { createFirmwareWorld, type FirmwareWorld } from './firmwareWorld.ts';

let world: FirmwareWorld;
let next: Release;
beforeAll(() => {
  world = createFirmwareWorld();
  next = world.release('1.1.0');
});
afterAll(() => world.remove());
beforeEach(() => world.reset());

const BEFORE = ['branchbox_0.9.0+0-2.efi', 'branchbox_1.0.0.efi'];
const SIZES = { writeBytes: 64 * 1024, syncBytes: 512 * 1024 };

/** Whatever happened before: this version is whole on the disk, by everybody's judgement. */
function expectInstalled(release: Release): void {
  expect(world.entries()).toEqual(['branchbox_1.0.0.efi', `branchbox_${release.version}+2.efi`]);
  expect(world.entry('branchbox_1.0.0.efi').equals(world.running.parts.uki)).toBe(true);
  expect(world.entry(`branchbox_${release.version}+2.efi`).equals(release.parts.uki)).toBe(true);
  for (const role of ['root', 'verity'] as const) {
    expect(world.slotBytes(role, release.parts[role].length).equals(release.parts[role]), role).toBe(true);
  }
  const { root, verity } = world.slotNodes();
  execFileSync('veritysetup', ['verify', root, verity, release.rootHash], { stdio: 'pipe' });
  for (const table of [world.table(), world.secondTable()]) {
    const { slots } = parseTable(table);
    expect([slots.a.rootHash, slots.b.rootHash]).toEqual([world.running.rootHash, release.rootHash]);
  }
}

describe('a version from a stick', () => {
  test('ends whole in the spare slot, on trial', async () => {
    const stick = world.stick(next, world.sign(next));
    expect(await world.update(world.input({ directory: stick }))).toEqual({ ended: 'ready' });
    expectInstalled(next);
    // Once more there is nothing left to do, and nothing is written.
    const stamp = world.stamp();
    expect(await world.update(world.input({ directory: stick }))).toEqual({ ended: 'ready' });
    expect(world.stamp()).toBe(stamp);
  });

  test.each<[string, () => string, RegExp]>([
    [
      'signed by somebody else',
      () => world.sign(next, makeAuthority().issue({ kind: 'firmware-signing', commonName: 'x' })),
      /not signed by a release key/,
    ],
    [
      'signed by a key for other things',
      () => world.sign(next, makeAuthority().issue({ kind: 'configuration-signing', commonName: 'x' })),
      /not signed by a release key/,
    ],
    ['with one bit of its manifest flipped', () => flipped(world.sign(next)), /not signed by a release key/],
    ['with its manifest cut short', () => world.sign(next).slice(0, -20), /not signed by a release key/],
    ['for another machine', () => world.sign(altered({ arch: 'arm64' })), /is for arm64/],
    [
      'of another product',
      () => world.sign({ ...next, manifest: Object.assign({ ...next.manifest }, { product: 'other' }) }),
      /not understood/,
    ],
    ['that is older', () => world.sign(altered({ version: '0.9.9' })), /no downgrade is allowed/],
    [
      'of the same name with another root',
      () => world.sign(altered({ version: '1.0.0' })),
      /build it as another version/,
    ],
    [
      'larger than its slot',
      () =>
        world.sign(
          altered({
            parts: next.manifest.parts.map((part) =>
              part.role === 'root' ? { ...part, sizeBytes: 64 * 1024 * 1024 + 1 } : part,
            ),
          }),
        ),
      /do not fit into the 67108864 of a root/,
    ],
  ])('%s is refused before anything changes', async (_, manifest, words) => {
    const stick = world.stick(next, manifest());
    const stamp = world.stamp();
    const end = await world.update(world.input({ directory: stick }));
    expect(end).toMatchObject({ ended: 'error', code: 'firmware/refused' });
    expect(end.message).toMatch(words);
    expect(world.stamp()).toBe(stamp);
    expect(world.entries()).toEqual(BEFORE);
  });

  test.each<[string, 'root' | 'verity' | 'uki', (bytes: Buffer) => Buffer, RegExp]>([
    ['one bit of its root flipped', 'root', (bytes) => withBit(bytes), /has SHA-256/],
    ['one bit of its hashes flipped', 'verity', (bytes) => withBit(bytes), /has SHA-256/],
    ['one bit of its boot entry flipped', 'uki', (bytes) => withBit(bytes), /has SHA-256/],
    ['its root cut short', 'root', (bytes) => bytes.subarray(0, -1), /is shorter than/],
    ['its boot entry cut short', 'uki', (bytes) => bytes.subarray(0, -1), /is shorter than/],
    ['its root grown', 'root', (bytes) => Buffer.concat([bytes, Buffer.from('x')]), /is larger than/],
  ])('with %s never becomes a boot entry', async (_, role, change, words) => {
    const stick = world.stick(next, world.sign(next), { [role]: change(next.parts[role]) });
    const end = await world.update(world.input({ directory: stick }));
    expect(end).toMatchObject({ ended: 'error', code: 'firmware/source' });
    expect(end.message).toMatch(words);
    expect(world.entries()).toEqual(['branchbox_1.0.0.efi']);
    expect(parseTable(world.table()).slots.b.rootHash).not.toBe(next.rootHash);
    // A whole copy mends it.
    const whole = world.stick(next, world.sign(next));
    expect(await world.update(world.input({ directory: whole }))).toEqual({ ended: 'ready' });
    expectInstalled(next);
  });

  test('whose boot entry starts another root than its manifest names is refused before it is placed', async () => {
    const other = altered({ rootHash: 'cd'.repeat(32) });
    const stick = world.stick(other, world.sign(other));
    const end = await world.update(world.input({ directory: stick }));
    expect(end).toMatchObject({ ended: 'error', code: 'firmware/refused' });
    expect(end.message).toMatch(/starts [0-9a-f]{64}, not cdcd/);
    expect(world.entries()).toEqual(['branchbox_1.0.0.efi']);
  });

  test('that Secure Boot would not start is refused before it is placed, and taken once its key is trusted', async () => {
    const ours = makeAuthority().ca.certificate;
    const uki = makeSignedProgram(next.rootHash, [ours]);
    const parts = { ...next.parts, uki };
    const signed = { ...next, parts, manifest: manifestOf(next.version, next.rootHash, parts) };
    const input = world.input({ directory: world.stick(signed, world.sign(signed)) });
    const variables = join(input.state, 'efivars');
    mkdirSync(variables);
    const database = (by: typeof ours): void =>
      writeFileSync(join(variables, SIGNATURE_DATABASE), makeDatabase([by.der]));
    writeFileSync(join(variables, SECURE_BOOT), Buffer.from([6, 0, 0, 0, 1]));
    database(makeAuthority().ca.certificate);
    const end = await world.update(input);
    expect(end).toMatchObject({ ended: 'error', code: 'firmware/refused' });
    expect(end.message).toMatch(/no key that this machine trusts/);
    expect(world.entries()).toEqual(['branchbox_1.0.0.efi']);
    database(ours);
    expect(await world.update(input)).toEqual({ ended: 'ready' });
    expectInstalled(signed);
  });

  test('with a link in a part’s place is not followed', async () => {
    const stick = world.stick(next, world.sign(next));
    const [root] = next.manifest.parts;
    execFileSync('ln', ['-sfn', '/etc/passwd', `${stick}/${root?.file}`]);
    const end = await world.update(world.input({ directory: stick }));
    expect(end).toMatchObject({ ended: 'error', code: 'firmware/source' });
  });
});

describe('a version from the controller', () => {
  test('comes through connections that drop, by ranges, no byte twice from what was durable', async () => {
    const server = await world.serve(next, (connection) => (connection < 6 ? 900_000 : undefined));
    const input = world.input(server.from, { sizes: SIZES });
    let end = await world.update(input);
    for (let tries = 0; tries < 8 && end.ended === 'error'; tries += 1) {
      expect(end.code).toBe('controller/unreachable');
      end = await world.update(input);
    }
    server.stop();
    expect(end).toEqual({ ended: 'ready' });
    const offsets = server.ranges
      .flatMap((range) => /^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? [])
      .map(Number);
    expect(offsets.length).toBeGreaterThan(4);
    expectInstalled(next);
  });

  test('is ended by an updater that was killed again and again', async () => {
    const server = await world.serve(next, () => undefined);
    const input = world.input(server.from, { sizes: SIZES });
    let seed = 20_261_125;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return seed % below;
    };
    let kills = 0;
    let end = {};
    for (let runs = 0; runs < 20; runs += 1) {
      // Every other one in the middle of something.
      end = await world.update({
        ...input,
        dieAt: { line: random(7), afterMs: (runs % 2) * (1 + random(9)) },
      });
      if (!('ended' in end) || end.ended !== 'killed') break;
      kills += 1;
      expect(world.entry('branchbox_1.0.0.efi').equals(world.running.parts.uki)).toBe(true);
      expect(parseTable(world.table()).slots.a.rootHash).toBe(world.running.rootHash);
    }
    server.stop();
    expect(kills).toBeGreaterThan(2);
    expect(end).toEqual({ ended: 'ready' });
    expectInstalled(next);
  });
});

const altered = (change: Partial<Release['manifest']>): Release => ({
  ...next,
  manifest: { ...next.manifest, ...change },
});

function withBit(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const at = Math.floor(copy.length / 2);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

function flipped(jws: string): string {
  const [header = '', payload = '', signature = ''] = jws.split('.');
  const bytes = Buffer.from(payload, 'base64url');
  const at = bytes.indexOf('"sizeBytes":') + 12;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return [header, bytes.toString('base64url'), signature].join('.');
}
