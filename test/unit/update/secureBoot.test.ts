/** Whether firmware would start a boot entry, as an update asks before it places one. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { programDigest } from '../../../src/update/authenticode.ts';
import { type FirmwareKeys, whyNotStarted } from '../../../src/update/secureBoot.ts';
import { readRootHash } from '../../../src/update/uki.ts';
import {
  digestOfProgram,
  makeDatabase,
  makeSignatureList,
  makeSignedProgram,
  makeVariable,
} from '../../fakes/signedProgram.ts';
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
  revoked: undefined,
  shim: undefined,
  ...change,
});
const why = (program: Buffer, change: Partial<FirmwareKeys> = {}): Promise<string | undefined> =>
  whyNotStarted(reading(program), program.length, keys(change));
const starts = async (program: Buffer, change: Partial<FirmwareKeys> = {}): Promise<boolean> =>
  (await why(program, change)) === undefined;

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
    expect(await starts(byOthers, { database: makeDatabase([Buffer.alloc(48)], 'sha384') })).toBe(true);
  });

  it('that names it by its digest, whoever signed it', async () => {
    const ownDigest = Buffer.from(digestOfProgram(byOthers), 'hex');
    const database = (digest: Buffer): Buffer =>
      makeVariable([
        makeSignatureList([ours.certificate.der], 'x509'),
        makeSignatureList([Buffer.alloc(32), digest], 'sha256'),
      ]);
    expect(await starts(byOthers, { database: database(ownDigest) })).toBe(true);
    expect(await starts(byOthers, { database: database(Buffer.alloc(32, 1)) })).toBe(false);
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

describe('the digest of a program', () => {
  it('is of all that a signature covers, and not of the signatures', async () => {
    const unsigned = makeSignedProgram(ROOT, []);
    const byOurs = makeSignedProgram(ROOT, [ours.certificate]);
    const digest = await programDigest(reading(byOurs), byOurs.length);
    expect(digest).toBe(digestOfProgram(byOurs));
    expect(digest).toBe(await programDigest(reading(unsigned), unsigned.length));
    // As many bytes as the part has, whatever waited in that file before.
    const longer = Buffer.concat([byOurs, Buffer.alloc(999, 7)]);
    expect(await programDigest(reading(longer), byOurs.length)).toBe(digest);
  });

  it('takes sections in their order in the file, whatever their table says', async () => {
    const program = makeSignedProgram(ROOT, []);
    const [tableAt, textAt, headerBytes] = [0x80 + 24 + 240, 512, 512];
    // Two sections of the one, the later first.
    program.writeUInt16LE(2, 0x80 + 6);
    program.writeUInt32LE(10, tableAt + 16);
    program.writeUInt32LE(textAt + 20, tableAt + 20);
    program.writeUInt32LE(20, tableAt + 40 + 16);
    program.writeUInt32LE(textAt, tableAt + 40 + 20);
    expect(program.readUInt32LE(0x80 + 24 + 60)).toBe(headerBytes);
    expect(await programDigest(reading(program), program.length)).toBe(digestOfProgram(program));
  });

  it('is none where the file is not whole', async () => {
    const program = makeSignedProgram(ROOT, [ours.certificate]);
    for (const length of [0, 10, 0x80, 0x90, 400, 520, 590]) {
      expect(await programDigest(reading(program.subarray(0, length)), length)).toBeUndefined();
    }
  });
});

describe('an entry is not started by firmware that takes it back', () => {
  const byOurs = makeSignedProgram(ROOT, [ours.certificate]);
  const signedBody = (der: Buffer): Buffer => {
    // Two headers of four bytes: of the certificate, and of what is signed of it.
    const length = der.readUInt16BE(6);
    return der.subarray(4, 8 + length);
  };
  const digestEntry = (der: Buffer, time = Buffer.alloc(16)): Buffer =>
    Buffer.concat([createHash('sha256').update(signedBody(der)).digest(), time]);
  const ourDer = Buffer.from(ours.certificate.der);

  it('by its own digest, also where nothing else is known of who signed it', async () => {
    const revoked = makeVariable([
      makeSignatureList([Buffer.alloc(32, 1), Buffer.from(digestOfProgram(byOurs), 'hex')], 'sha256'),
    ]);
    expect(await why(byOurs, { revoked })).toMatch(
      new RegExp(`taken its boot entry back .dbx names SHA-256 ${digestOfProgram(byOurs)}`),
    );
    expect(await starts(byOurs, { revoked, database: undefined })).toBe(false);
    expect(await starts(byOurs, { revoked, shim: Buffer.alloc(4) })).toBe(false);
    expect(await starts(byOurs, { revoked, secureBoot: OFF })).toBe(true);
    expect(await starts(makeSignedProgram('cd'.repeat(32), [ours.certificate]), { revoked })).toBe(true);
  });

  it('by the certificate that signed it, or one above, beside whatever else signed it', async () => {
    const revoked = makeDatabase([ours.certificate.der]);
    expect(await why(byOurs, { revoked })).toMatch(
      /taken back \(dbx\) who signed .*CN=Our Secure Boot, SHA-256/,
    );
    expect(await starts(makeSignedProgram(ROOT, [below]), { revoked })).toBe(false);
    const both = makeDatabase([ours.certificate.der, others.certificate.der]);
    const twice = makeSignedProgram(ROOT, [others.certificate, ours.certificate]);
    expect(await starts(twice, { database: both, revoked })).toBe(false);
    expect(await starts(byOurs, { revoked: makeDatabase([others.certificate.der]) })).toBe(true);
    // The one below is taken back, not the one above that signed by itself.
    expect(await starts(byOurs, { revoked: makeDatabase([below.der]) })).toBe(true);
  });

  it('by the digest of a certificate, of one that signed or of one that it trusted', async () => {
    const since = Buffer.alloc(16, 0);
    since.writeUInt16LE(2020, 0);
    for (const time of [Buffer.alloc(16), since]) {
      const revoked = makeDatabase([digestEntry(ourDer, time)], 'x509-sha256');
      expect(await why(byOurs, { revoked })).toMatch(/taken back/);
      // Not in the signature, and no longer what makes it trusted.
      expect(await why(makeSignedProgram(ROOT, [below]), { revoked })).toMatch(
        /no key that this machine trusts/,
      );
    }
    const foreign = makeDatabase([digestEntry(Buffer.from(others.certificate.der))], 'x509-sha256');
    expect(await starts(byOurs, { revoked: foreign })).toBe(true);
  });

  it('as far as its list makes sense: what is not known in it hides nothing', async () => {
    const ourList = makeSignatureList([ours.certificate.der], 'x509');
    const unknown = makeSignatureList([Buffer.alloc(48)], 'sha384');
    const odd = makeSignatureList([Buffer.alloc(31)], 'sha256');
    expect(await starts(byOurs, { revoked: makeVariable([unknown, odd, ourList]) })).toBe(false);
    expect(await starts(byOurs, { revoked: makeVariable([ourList, unknown.subarray(0, 40)]) })).toBe(false);
    expect(await starts(byOurs, { revoked: makeVariable([unknown]) })).toBe(true);
    const revoked = makeVariable([ourList]);
    for (let length = 0; length < revoked.length; length += 1)
      expect(await starts(byOurs, { revoked: revoked.subarray(0, length) })).toBe(true);
  });
});
