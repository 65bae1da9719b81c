/**
 * `branchbox identity` as it is shipped, on a file system that loses what was not synced, against the real manufacturer,
 * signer and controller: killed at each step of each line of its journal, twelve times a line, and at each step of each other
 * file that it leaves, with the power gone or on. It ends in service, with one key and one certificate.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Journal } from '../../src/model/bootstrap.ts';
import { parseCertificates } from '../../src/pki/certificate.ts';
import { importPrivateKey, publicKeyOf, sameKey } from '../../src/pki/keys.ts';
import { Secret } from '../../src/model/secret.ts';
import {
  ADDRESS,
  type BootstrapWorld,
  createBootstrapWorld,
  placeInFleet,
  readText,
} from './bootstrapWorld.ts';
import { bundleFor, createLossyBox } from './lossyDisk.ts';
import { INTO_SERVICE } from '../journeyStates.ts';

/** But for the last, each leaves the line before: a temporary is no journal, and an unsynced name is gone with the power. */
const KILLS = [
  ['written', 'on'],
  ['written', 'cut'],
  ['synced', 'on'],
  ['synced', 'cut'],
  ['renamed', 'cut'],
] as const;
const FILES = [
  'pending-owner.json',
  'revocation-lists.pem',
  'clock-floor',
  'ldevid.key',
  'ldevid.crt',
  'domain-anchor.pem',
  'owner.json',
];
const SERIALS = ['LOSSY-1', 'LOSSY-2', 'LOSSY-3'] as const;
type Disk = ReadonlyMap<string, string>;

let world: BootstrapWorld;
let program: string;
beforeAll(async () => {
  world = await createBootstrapWorld();
  await world.startServices();
  await placeInFleet(world, SERIALS);
  program = await bundleFor(world);
});
afterAll(() => world.remove());

function statesOn(disk: Disk): readonly string[] {
  const text = disk.get('journal.json');
  return text === undefined ? [] : Journal.parse(JSON.parse(text)).entries.map(({ state }) => state);
}

/** Fingerprints of the certificates that the controller gave out, oldest first. */
async function issuedTo(serial: string): Promise<readonly string[]> {
  const credential = (await readText(join(world.directory, 'controller/admin.credential'))).trim();
  const anchor = join(world.directory, 'anchors/domain.pem');
  const words = ['--cacert', anchor, '-H', `Authorization: Bearer ${credential}`];
  const text = await world.inside(
    'curl',
    '-sS',
    ...words,
    `https://${ADDRESS.controller}:8445/api/v1/audit?limit=1000`,
  );
  return z
    .array(z.object({ actor: z.string(), action: z.string(), detail: z.string() }))
    .parse(JSON.parse(text))
    .filter(({ actor, action }) => actor === `serial:${serial}` && action === 'enrolled')
    .map(({ detail }) => detail);
}

/** In service, with the last certificate that it was given, its key, and nothing that was left on the way. */
async function expectInService(disk: Disk, serial: string): Promise<void> {
  expect([...disk.keys()].toSorted()).toEqual([
    'clock-floor',
    'domain-anchor.pem',
    'journal.json',
    'ldevid.crt',
    'ldevid.key',
    'owner.json',
    'revocation-lists.pem',
  ]);
  expect(statesOn(disk).at(-1)).toBe('OPERATIONAL');
  const [leaf] = parseCertificates(disk.get('ldevid.crt') ?? '');
  const key = importPrivateKey(new Secret(disk.get('ldevid.key') ?? ''));
  expect(leaf !== undefined && sameKey(leaf.publicKey, publicKeyOf(key))).toBe(true);
  expect(leaf?.fingerprintSha256).toBe((await issuedTo(serial)).at(-1));
}

/** Some fifty lives of a process each, on cores that do other things too. */
const LIVES_MS = 600_000;

describe.concurrent('branchbox identity', () => {
  // Twelve times a line, six in each box: there are two cores.
  it.each([
    ['and the power went', SERIALS[0], 'cut'],
    ['and the power stayed', SERIALS[1], 'on'],
  ] as const)(
    'is killed at each step of each line of its journal, %s behind its last',
    async (_, serial, last) => {
      const box = await createLossyBox(world, program, serial);
      const seen = new Map<string, Set<string>>([
        ['ldevid.key', new Set()],
        ['ldevid.crt', new Set()],
      ]);
      let disk: Disk = new Map();
      for (const [index, state] of INTO_SERVICE.entries()) {
        // What is durable when it is killed is durable with the power on, too: there the name alone has to do.
        const end = last === 'cut' ? (['durable', 'cut'] as const) : (['renamed', 'on'] as const);
        for (const [step, power] of [...KILLS, end]) {
          disk = await box.live(`journal.json ${step} ${state}`, power);
          const lines = INTO_SERVICE.slice(0, step === end[0] && power === end[1] ? index + 1 : index);
          expect([state, step, power, ...statesOn(disk)]).toEqual([state, step, power, ...lines]);
          for (const [name, contents] of seen) {
            const content = disk.get(name);
            if (content !== undefined) contents.add(content);
          }
        }
      }
      await expectInService(disk, serial);
      expect([...seen.values()].map(({ size }) => size)).toEqual([1, 1]);
      expect(await issuedTo(serial)).toHaveLength(1);
    },
    LIVES_MS,
  );

  it(
    'is killed at each step of each other file, and the power goes',
    async () => {
      const [, , serial] = SERIALS;
      const box = await createLossyBox(world, program, serial);
      for (const file of FILES) {
        for (const step of ['written', 'synced', 'renamed', 'durable'] as const) {
          const disk = await box.live(`${file} ${step}`, 'cut');
          expect([file, step, disk.has(file)]).toEqual([file, step, step === 'durable']);
        }
      }
      await expectInService(await box.live('journal.json durable OPERATIONAL', 'cut'), serial);
      // One for each time that the certificate was lost on its way to the disk, and none once it was there.
      expect(await issuedTo(serial)).toHaveLength(4);
    },
    LIVES_MS,
  );
});
