/**
 * What open-data does with the data partition, by the whole script: a TPM that works, that is not there, that refuses, that
 * hangs; a header that cannot be read. Disk, TPM and systemd's programs are files here; a real TPM is in test/vm/smoke.test.ts.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const OPEN_DATA = join(import.meta.dirname, '../../../firmware/root/usr/lib/branchbox/open-data');
/** TPM2_PCR_Extend's own bytes, and what a TPM answers. */
const COMMAND_BYTES = 65;
const EXTENDED = Buffer.from('80020000001300000000', 'hex');
const EXT4 = Buffer.alloc(65_536);
const LUKS = Buffer.concat([Buffer.from('LUKS\u00ba\u00be', 'latin1'), Buffer.alloc(65_530)]);

describe('the data partition', () => {
  let directory: string;
  const at = (path: string): string => join(directory, path);
  const put = (path: string, content: string | Buffer): void => {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), content, { mode: 0o755 });
  };
  const program = (name: string, script: string): void => put(`bin/${name}`, `#!/bin/sh\n${script}\n`);
  const read = (path: string): string | undefined =>
    existsSync(at(path)) ? readFileSync(at(path), 'utf8').trim() : undefined;
  const partition = (number: number, label: string): void =>
    put(
      `sys/block/sda/sda${number}/uevent`,
      `DEVNAME=sda${number}\nPARTN=${number}\nPARTNAME=branchbox-${label}\n`,
    );
  /** A disk that was at work, with that on its data partition. */
  const hasData = (content: Buffer): void => {
    for (const [number, label] of ['verity-b', 'factory', 'data'].entries()) partition(number + 5, label);
    for (const number of [5, 6]) put(`dev/sda${number}`, '');
    put('dev/sda7', content);
  };
  /** Ended with the test: whoever waits for it has left it to itself. */
  const neverEnds = (): string => `echo $$ >>${at('hung')}; exec /bin/sleep 600`;
  const hasTpm = (answer: Buffer = EXTENDED): void =>
    put('dev/tpmrm0', Buffer.concat([Buffer.alloc(COMMAND_BYTES), answer]));

  const open = (): { status: number | null; said: string; protection: string | undefined } => {
    const script = readFileSync(OPEN_DATA, 'utf8')
      .replaceAll('/run/branchbox', at('run'))
      .replaceAll('/usr/lib/branchbox', at('own'))
      .replaceAll('/sys/block', at('sys/block'))
      .replaceAll('/dev/$', `${at('dev')}/$`)
      .replaceAll('/dev/tpmrm0', at('dev/tpmrm0'))
      .replaceAll('/dev/mapper', at('dev/mapper'))
      .replaceAll('DEVNAME) device=/dev/', `DEVNAME) device=${at('dev')}/`)
      .replaceAll(/\bwithin \d+ /g, 'within 1 ');
    // Into a file: what hangs would hold a pipe open.
    const said = openSync(at('said'), 'w');
    const { status } = spawnSync('sh', ['-c', script, OPEN_DATA], {
      stdio: ['ignore', said, said],
      env: { PATH: `${at('bin')}:${process.env['PATH'] ?? ''}` },
    });
    closeSync(said);
    return { status, said: read('said') ?? '', protection: read('run/boot/data-protection') };
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bbt-open-data-'));
    put('run/boot/disk', 'sda\n');
    put('dev/mapper/data', EXT4);
    put('sys/block/sda/sda1/uevent', 'DEVNAME=sda1\nPARTN=1\nPARTNAME=esp\n');
    for (const own of ['branchbox-install', 'factory-reset', 'boot-failed', 'start-next', 'tpm-make-key'])
      put(`own/${own}`, '#!/bin/sh\n');
    for (const name of ['systemd-notify', 'fsck.ext4', 'tune2fs', 'systemctl'])
      program(name, `echo ${name} "$@" >>${at('ran')}`);
    // What is made is there under the names of the table.
    for (const [number, label] of ['verity-b', 'factory', 'data'].entries())
      put(
        `made/sda${number + 5}/uevent`,
        `DEVNAME=sda${number + 5}\nPARTN=${number + 5}\nPARTNAME=branchbox-${label}\n`,
      );
    program(
      'systemd-repart',
      `echo systemd-repart "$@" >>${at('ran')}; cp -r ${at('made')}/* ${at('sys/block/sda')}
      case "$*" in *repart/tpm2*) printf 'LUKS' ;; *) printf ext4 ;; esac >${at('dev/sda7')}`,
    );
    program('systemd-cryptsetup', `echo systemd-cryptsetup "$@" >>${at('ran')}`);
  });
  afterEach(() => {
    for (const pid of read('hung')?.split('\n') ?? []) spawnSync('kill', [pid]);
    rmSync(directory, { recursive: true });
  });

  describe('at a first start', () => {
    it('is made sealed to a TPM that works, and in clear where there is none', () => {
      expect(open()).toMatchObject({ status: 0, protection: 'plain' });
      rmSync(at('sys/block/sda'), { recursive: true });
      rmSync(at('run/boot/data'));
      partition(1, 'esp');
      hasTpm();
      expect(open()).toMatchObject({ status: 0, protection: 'tpm2' });
      expect(read('ran')).toMatch(/repart\/plain .*\n[^]*repart\/tpm2 /);
    });

    it.each([
      [
        'refuses',
        'echo "ERROR: Esys_CreatePrimary(0x9A2)" >&2; exit 1',
        ' (ERROR: Esys_CreatePrimary(0x9A2))',
      ],
      ['does not answer', undefined, ''],
    ])('is made in clear beside a TPM that %s, which is said', (_what, script, why) => {
      hasTpm();
      put('own/tpm-make-key', `#!/bin/sh\n${script ?? neverEnds()}\n`);
      const { status, said, protection } = open();
      expect([status, protection]).toEqual([0, 'plain-beside-unfit-tpm']);
      expect(said).toContain(`the TPM does not work${why}`);
      expect(read('ran')).not.toContain('repart/tpm2');
      expect(read('run/boot/data-failed')).toBeUndefined();
    });

    it('has the trial of its TPM write where something can be written', () => {
      hasTpm();
      put('own/tpm-make-key', '#!/bin/sh\nrmdir "$(mktemp -d)" && [ "$TMPDIR" != "" ]\n');
      expect(open()).toMatchObject({ status: 0, protection: 'tpm2' });
    });

    it('says what to do with a disk that takes no data', () => {
      program('systemd-repart', 'echo "Failed to make it" >&2; exit 1');
      expect(open().status).toBe(1);
      expect(read('run/boot/data-failed')).toMatch(
        /^What this box needs on sda .*\(Failed to make it\)\.\n.*install another one/,
      );
    });
  });

  describe('sealed to a TPM', () => {
    beforeEach(() => hasData(LUKS));

    it('is opened, and by nobody after that', () => {
      hasTpm();
      expect(open()).toMatchObject({ status: 0, protection: 'tpm2' });
      expect(read('ran')).toContain(`systemd-cryptsetup attach data ${at('dev/sda7')}`);
      expect(readFileSync(at('dev/tpmrm0')).toString('latin1')).toContain('the data is open now');
    });

    it.each([
      [
        'is not there',
        false,
        'echo "Timed out waiting" >&2; exit 1',
        /^The data is sealed to a TPM, and this machine shows none\.\nSwitch it on .* factory reset/,
      ],
      [
        'does not answer',
        true,
        undefined,
        /which does not answer\.\nTake the power away for a minute\. .* factory reset/,
      ],
      [
        'does not open it',
        true,
        'echo "Automatically discovered"; echo "Failed to unseal secret using TPM2: Operation not permitted" >&2; exit 1',
        /\(Failed to unseal secret using TPM2: Operation not permitted\)\.\nSet back .* factory reset/,
      ],
    ])('says so where that %s, and how it is mended', (_what, isThere, script, told) => {
      if (isThere) hasTpm();
      program('systemd-cryptsetup', script ?? neverEnds());
      const { status, said } = open();
      expect(status).toBe(1);
      expect(read('run/boot/data-failed')).toMatch(told);
      expect(said).toContain(read('run/boot/data-failed')?.split('\n')[1]);
    });

    it('is not used where the TPM cannot be kept from opening it again', () => {
      hasTpm(Buffer.from('8001000000100000', 'hex'));
      expect(open()).toMatchObject({ status: 1, protection: undefined });
      expect(read('run/boot/data-failed')).toContain('cannot be kept from opening it again');
    });

    it('is known by its second header where the first is gone, and checked as nothing else', () => {
      const second = Buffer.alloc(65_536);
      second.write('SKUL', 16_384);
      hasData(second);
      hasTpm();
      expect(open()).toMatchObject({ status: 0, protection: 'tpm2' });
      expect(read('ran')).toContain('systemd-cryptsetup attach');
    });
  });

  describe('in clear', () => {
    beforeEach(() => hasData(EXT4));

    it('goes on as it is beside a TPM that came later, which opens nothing more', () => {
      hasTpm();
      expect(open()).toMatchObject({ status: 0, protection: 'plain-beside-tpm' });
      expect(readFileSync(at('dev/tpmrm0')).toString('latin1')).toContain('the data is open now');
      expect(read('ran')).not.toContain('systemd-cryptsetup');
    });

    it.each([
      ['refuses', Buffer.from('80010000000a00000101', 'hex')],
      ['says nothing', Buffer.alloc(0)],
    ])('goes on as it is beside a TPM that %s', (_what, answer) => {
      hasTpm(answer);
      expect(open()).toMatchObject({ status: 0, protection: 'plain-beside-unfit-tpm' });
    });

    it('goes on as it is beside a TPM that hangs', () => {
      hasTpm();
      program('od', `case "$*" in *tx1*) ${neverEnds()} ;; *) exec /usr/bin/od "$@" ;; esac`);
      expect(open()).toMatchObject({ status: 0, protection: 'plain-beside-unfit-tpm' });
    });

    it('is tried all the same where the check cannot mend it, and what to do is said', () => {
      program('fsck.ext4', 'exit 8');
      expect(open().status).toBe(0);
      expect(read('run/boot/data-failed')).toMatch(
        /^The data on .*sda7 has errors .*\n.*factory reset.*another one/,
      );
    });
  });
});
