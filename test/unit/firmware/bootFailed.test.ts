/** Which version is started after one that did not come up, over the loader's variables as files. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../../../firmware/boot-failed');
const LOADER = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
const ATTRIBUTES = Buffer.from([7, 0, 0, 0]);

describe('after a version that did not come up', () => {
  let variables: string;
  const put = (name: string, ...strings: string[]): void =>
    writeFileSync(
      join(variables, `${name}-${LOADER}`),
      Buffer.concat([ATTRIBUTES, Buffer.from(strings.map((text) => `${text}\0`).join(''), 'utf16le')]),
    );
  /** What the loader would start, by what it was told; the word is then used up, as the loader does. */
  const next = (): string | undefined => {
    const file = join(variables, `LoaderEntryOneShot-${LOADER}`);
    if (!existsSync(file)) return undefined;
    const bytes = readFileSync(file);
    expect(bytes.subarray(0, 4)).toEqual(ATTRIBUTES);
    rmSync(file);
    return bytes.subarray(4).toString('utf16le');
  };
  const failed = (entry: string): { readonly status: number | null; readonly next: string | undefined } => {
    put('LoaderEntrySelected', entry);
    const { status } = spawnSync(SCRIPT, { env: { ...process.env, BOOT_FAILED_VARIABLES: variables } });
    return { status, next: next() };
  };

  beforeEach(() => {
    variables = mkdtempSync(join(tmpdir(), 'bbt-variables-'));
  });
  afterEach(() => rmSync(variables, { recursive: true }));

  it('the other committed one is next, and then none', () => {
    put('LoaderEntries', 'branchbox_0.2.0.efi', 'branchbox_0.1.0.efi', 'auto-reboot-to-firmware-setup');
    expect(failed('branchbox_0.2.0.efi')).toEqual({ status: 0, next: 'branchbox_0.1.0.efi\0' });
    expect(failed('branchbox_0.1.0.efi')).toEqual({ status: 1, next: undefined });
    // Once more, as after ten minutes without the clearing: still none.
    expect(failed('branchbox_0.2.0.efi')).toEqual({ status: 1, next: undefined });
  });

  it('all are tried again once it is forgotten', () => {
    put('LoaderEntries', 'branchbox_0.2.0.efi', 'branchbox_0.1.0.efi');
    failed('branchbox_0.2.0.efi');
    failed('branchbox_0.1.0.efi');
    execFileSync(SCRIPT, ['clear'], { env: { ...process.env, BOOT_FAILED_VARIABLES: variables } });
    expect(readdirSync(variables).filter((name) => name.startsWith('Branchbox'))).toEqual([]);
    expect(failed('branchbox_0.2.0.efi').next).toBe('branchbox_0.1.0.efi\0');
  });

  it('one that never comes back to say so, since its kernel panics, is tried twice, and then a stick is waited for', () => {
    put('LoaderEntries', 'branchbox_0.2.0.efi', 'branchbox_0.3.0.efi');
    expect(failed('branchbox_0.2.0.efi').next).toBe('branchbox_0.3.0.efi\0');
    expect(failed('branchbox_0.2.0.efi').next).toBe('branchbox_0.3.0.efi\0');
    expect(failed('branchbox_0.2.0.efi')).toEqual({ status: 1, next: undefined });
    // Neither is a version for another whose name it begins with.
    put('LoaderEntries', 'branchbox_0.2.0.efi', 'branchbox_0.3.0.efi', 'branchbox_0.3.efi');
    expect(failed('branchbox_0.2.0.efi').next).toBe('branchbox_0.3.efi\0');
  });

  it('a trial is left to the loader, which counts it, until its last try', () => {
    put('LoaderEntries', 'branchbox_0.3.0.efi', 'branchbox_0.2.0.efi');
    put('LoaderBootCountPath', '\\EFI\\Linux\\branchbox_0.3.0+1-1.efi');
    expect(failed('branchbox_0.3.0.efi')).toEqual({ status: 0, next: undefined });
    put('LoaderBootCountPath', '\\EFI\\Linux\\branchbox_0.3.0+0-2.efi');
    expect(failed('branchbox_0.3.0.efi')).toEqual({ status: 0, next: 'branchbox_0.2.0.efi\0' });
  });

  it('without a word of the loader it is not known what runs: it stays', () => {
    expect(spawnSync(SCRIPT, { env: { ...process.env, BOOT_FAILED_VARIABLES: variables } }).status).toBe(1);
  });

  it('names that are not ours are not passed on', () => {
    put('LoaderEntries', 'branchbox_0.2.0.efi', 'branchbox_0.1.0%n$(touch x).efi', 'windows.efi');
    expect(failed('branchbox_0.2.0.efi')).toEqual({ status: 1, next: undefined });
    expect(failed('windows.efi')).toEqual({ status: 1, next: undefined });
  });
});
