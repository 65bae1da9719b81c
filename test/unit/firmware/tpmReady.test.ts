/** firmware/tpm-ready with an openssl that says what the test wants; the real one is in test/lab/tpmKeys.test.ts. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../../../firmware/tpm-ready');
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-ready-'));
  mkdirSync(join(directory, 'bin'));
  // Nobody waits here.
  symlinkSync('/usr/bin/true', join(directory, 'bin/sleep'));
  for (const program of ['env', 'sed', 'timeout'])
    symlinkSync(`/usr/bin/${program}`, join(directory, 'bin', program));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** `openssl list` of an openssl that is there says this, and ends with this code. */
function ready(listed?: { readonly says: string; readonly code: number }, chip = true): string {
  if (listed !== undefined) {
    writeFileSync(join(directory, 'said'), listed.says);
    writeFileSync(
      join(directory, 'bin/openssl'),
      `#!/bin/sh\ncase $1 in version) echo 'MODULESDIR: "${directory}"' ;; *) while read -r line; do echo "$line"; done <${directory}/said; exit ${listed.code} ;; esac\n`,
      { mode: 0o755 },
    );
  }
  if (chip) writeFileSync(join(directory, 'tpmrm0'), '');
  const { status, stdout } = spawnSync('/bin/sh', [SCRIPT], {
    encoding: 'utf8',
    env: {
      PATH: join(directory, 'bin'),
      TPM2OPENSSL_TCTI: `device:${directory}/tpmrm0`,
      ACPI_TPM2: join(directory, 'TPM2'),
    },
  });
  expect(status).toBe(0);
  return stdout;
}
const module = (): void => writeFileSync(join(directory, 'tpm2.so'), '');
const listed = (version: string) => ({
  says: `Providers:\n  default\n    version: 3.5.9\n  tpm2\n    name: TPM 2.0 Provider\n    version: ${version}\n    status: active\n`,
  code: 0,
});

describe('tpm-ready', () => {
  it('says that there is no TPM before it asks anything else, and that one has no driver', () => {
    expect(ready(listed('1.3.0'), false)).toBe('no-chip\n');
    writeFileSync(join(directory, 'TPM2'), '');
    expect(ready(listed('1.3.0'), false)).toBe('no-driver\n');
  });

  it('says which part is missing', () => {
    expect(ready()).toBe('no-openssl\n');
    expect(ready(listed('1.3.0'))).toBe('no-provider\n');
  });

  it.each([
    ['1.1.1', 'old-provider 1.1.1\n'],
    ['1.2.0', 'old-provider 1.2.0\n'],
    ['1.3.0', 'ready 1.3.0\n'],
    ['1.10.0', 'ready 1.10.0\n'],
    ['2.0.0', 'ready 2.0.0\n'],
  ])('%s of the provider', (version, said) => {
    module();
    expect(ready(listed(version))).toBe(said);
  });

  it("has the TPM's own words where it does not answer", () => {
    module();
    const says =
      'list: unable to load provider tpm2\n40878DFA3A7F0000:error:40000006:lib(128)::reason(6)::-1:655370 tcti:IO failure\n' +
      '40878DFA3A7F0000:error:078C0105:common libcrypto routines:provider_init:init fail:../crypto/provider_core.c:1054:name=tpm2\n';
    expect(ready({ says, code: 1 })).toBe('failed tcti:IO failure\n');
    expect(ready({ says: 'Killed\n', code: 137 })).toBe('failed \n');
  });
});
