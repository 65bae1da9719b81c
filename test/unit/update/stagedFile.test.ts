/** The file in which a boot entry waits, and the firmware's variables, as the disk of a box reads them. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createFirmwareDisk } from '../../../src/update/disk.ts';
import { REVOKED_SIGNATURES, SECURE_BOOT, SIGNATURE_DATABASE } from '../../../src/update/secureBoot.ts';
import { digestOfProgram, makeDatabase, makeSignedProgram } from '../../fakes/signedProgram.ts';
import { makeCa } from '../pki/domain.ts';

const ROOT = 'ab'.repeat(32);
const signal = new AbortController().signal;
const ours = makeCa('Our Secure Boot').certificate;
const program = makeSignedProgram(ROOT, [ours]);
const nothing = () => Promise.reject(new Error('nothing is run'));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-staged-'));
  mkdirSync(join(directory, 'efivars'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const stagedPath = (): string => join(directory, 'state/staged.efi');
const makeDisk = () =>
  createFirmwareDisk({
    runner: { run: nothing, runChecked: nothing, follow: nothing },
    device: '/dev/none',
    running: { version: '1.0.0', rootHash: 'cd'.repeat(32) },
    mountPoint: join(directory, 'esp'),
    stagedPath: stagedPath(),
    variables: join(directory, 'efivars'),
  });
const variable = (name: string, content: Uint8Array): void =>
  writeFileSync(join(directory, 'efivars', name), content);

it('is judged by what db and dbx say, as far as the part goes', async () => {
  const disk = makeDisk();
  const staged = await disk.openStaged(signal);
  // The end of a longer one that waited there before.
  await staged.write(0, Buffer.concat([program, Buffer.alloc(5000, 7)]));
  await staged.close();
  const judge = () => disk.judgeStaged(ROOT, program.length, signal);
  expect(await judge()).toBeUndefined();
  variable(SECURE_BOOT, Buffer.from([6, 0, 0, 0, 1]));
  variable(SIGNATURE_DATABASE, makeDatabase([ours.der]));
  expect(await judge()).toBeUndefined();
  const digest = digestOfProgram(program);
  variable(REVOKED_SIGNATURES, makeDatabase([Buffer.from(digest, 'hex')], 'sha256'));
  expect(await judge()).toContain(`dbx names SHA-256 ${digest}`);
  variable(REVOKED_SIGNATURES, makeDatabase([ours.der]));
  expect(await judge()).toContain('CN=Our Secure Boot');
});

it('can be dropped, also where nothing waits and nothing ever did', async () => {
  const disk = makeDisk();
  await disk.dropStaged();
  await (await disk.openStaged(signal)).close();
  expect(existsSync(stagedPath())).toBe(true);
  await disk.dropStaged();
  expect(existsSync(stagedPath())).toBe(false);
  await expect(disk.judgeStaged(ROOT, 1, signal)).rejects.toMatchObject({ code: 'firmware/disk' });
});

it('that cannot be removed is told of', async () => {
  mkdirSync(stagedPath(), { recursive: true });
  await expect(makeDisk().dropStaged()).rejects.toMatchObject({
    code: 'firmware/disk',
    message: expect.stringContaining('staged.efi cannot be removed'),
  });
});
