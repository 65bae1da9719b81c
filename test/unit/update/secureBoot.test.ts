/** Whether firmware would start a boot entry, as an update asks before it places one. */
import { describe, expect, it } from 'vitest';
import { type FirmwareKeys, wouldStart } from '../../../src/update/secureBoot.ts';
import { readRootHash } from '../../../src/update/uki.ts';
import { makeDatabase, makeSignedProgram } from '../../fakes/signedProgram.ts';
import { issue, makeCa } from '../pki/domain.ts';

const ROOT = 'ab'.repeat(32);
const ours = makeCa('Our Secure Boot');
const others = makeCa('Their Secure Boot');
const below = issue(ours, { kind: 'firmware-signing', commonName: 'below ours' }).certificate;
const reading = (bytes: Buffer) => async (offset: number, length: number) =>
  bytes.subarray(offset, offset + length);
const ON = Buffer.from([6, 0, 0, 0, 1]);
const OFF = Buffer.from([6, 0, 0, 0, 0]);
const keys = (change: Partial<FirmwareKeys> = {}): FirmwareKeys => ({
  secureBoot: ON,
  database: makeDatabase([ours.certificate.der]),
  shim: undefined,
  ...change,
});
const starts = (program: Buffer, change: Partial<FirmwareKeys> = {}): Promise<boolean> =>
  wouldStart(reading(program), keys(change));

describe('an entry is started by firmware', () => {
  const byOurs = makeSignedProgram(ROOT, [ours.certificate]);
  const byOthers = makeSignedProgram(ROOT, [others.certificate]);

  it('that trusts who signed it, or who is above', async () => {
    expect(await readRootHash(reading(byOurs))).toBe(ROOT);
    expect(await starts(byOurs)).toBe(true);
    expect(await starts(makeSignedProgram(ROOT, [below]))).toBe(true);
    // A second signature helps the first; firmware looks at each.
    expect(await starts(makeSignedProgram(ROOT, [others.certificate, ours.certificate]))).toBe(true);
    const both = makeDatabase([others.certificate.der, ours.certificate.der]);
    expect(await starts(byOurs, { database: both })).toBe(true);
  });

  it('and by none that trusts somebody else', async () => {
    expect(await starts(byOthers)).toBe(false);
    expect(await starts(makeSignedProgram(ROOT, []))).toBe(false);
  });

  it('whoever signed it, where Secure Boot is off or what is trusted is not told', async () => {
    expect(await starts(byOthers, { secureBoot: OFF })).toBe(true);
    expect(await starts(byOthers, { secureBoot: undefined })).toBe(true);
    expect(await starts(byOthers, { database: undefined })).toBe(true);
    expect(await starts(byOthers, { shim: Buffer.alloc(4) })).toBe(true);
    expect(await starts(byOthers, { database: makeDatabase([Buffer.alloc(32)], 'sha256') })).toBe(true);
  });

  it('as far as can be told of any bytes: none makes the question fail', async () => {
    // A signature that is not understood may be one that firmware understands.
    expect(await starts(byOthers.subarray(0, -9))).toBe(true);
    expect(await starts(byOthers.subarray(0, 200))).toBe(false);
    for (let length = 0; length < byOthers.length; length += 37) {
      expect(typeof (await starts(byOthers.subarray(0, length)))).toBe('boolean');
    }
    const { database = Buffer.alloc(0) } = keys();
    for (let length = 0; length < database.length; length += 13) {
      expect(typeof (await starts(byOthers, { database: database.subarray(0, length) }))).toBe('boolean');
    }
    for (const fill of [0, 0xff]) {
      const database = Buffer.alloc(200, fill);
      expect(await starts(byOthers, { database })).toBe(true);
    }
  });
});
