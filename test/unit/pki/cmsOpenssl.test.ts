/** Signed data of ours that openssl reads, and of openssl's that we read. */
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { signData } from '../../../src/pki/cms.ts';
import { verifySignedData } from '../../../src/pki/cmsVerify.ts';
import { NO_EXPIRY_MS } from '../../../src/pki/issue.ts';
import { exportPrivateKey, generateKeyPair } from '../../../src/pki/keys.ts';
import { OID } from '../../../src/pki/oids.ts';
import {
  AT_NOW,
  DAY_MS,
  hasOpenssl,
  issue,
  makeCa,
  NOW_MS,
  openssl,
  refusal,
  writeUnusableRoot,
} from './domain.ts';

const ca = makeCa();
const signer = issue(ca, { kind: 'voucher-signing', commonName: 'signer' });
const content = Buffer.from(
  'some content, long enough to be cut into pieces by a streaming writer '.repeat(200),
);
const options = { contentTypes: [OID.voucherJson], anchors: [ca.certificate], atMs: NOW_MS };
const message = signData({ contentType: OID.voucherJson, content, signer, signingTimeMs: NOW_MS });

type Tool = ReturnType<typeof openssl>;

/** By the files of these names, over `content` or what stands in `in`. */
function signBy(tool: Tool, certificate: string, key: string, ...extra: readonly string[]): Buffer {
  const who = ['-signer', certificate, '-inkey', key];
  tool.run(
    'cms',
    '-sign',
    '-binary',
    '-nodetach',
    '-in',
    'in',
    '-outform',
    'DER',
    '-out',
    'm',
    ...who,
    ...extra,
  );
  return tool.read('m');
}

/** By the signer, and as it says: a voucher's type is named in `extra`. */
function signed(extra: readonly string[], over: Uint8Array = content): Buffer {
  using tool = openssl();
  tool.write('s.pem', signer.certificate.pem);
  tool.write('s.key', exportPrivateKey(signer.key).reveal());
  tool.write('in', over);
  return signBy(tool, 's.pem', 's.key', ...extra);
}
const VOUCHER = ['-econtent_type', OID.voucherJson];

describe.skipIf(!hasOpenssl)('with openssl', () => {
  it('verifies ours', () => {
    using tool = openssl();
    tool.write('ca.pem', ca.certificate.pem);
    tool.write('m.der', message);
    tool.run(
      'cms',
      '-verify',
      '-inform',
      'DER',
      '-in',
      'm.der',
      '-CAfile',
      'ca.pem',
      '-binary',
      '-out',
      'o',
      ...AT_NOW,
    );
    expect(tool.read('o')).toEqual(content);
  });

  /** Header and all, of what has a length of one octet or of two behind 0x81. */
  const lengthOf = (bytes: Uint8Array, at: number): number =>
    bytes[at + 1] === 0x81 ? 3 + (bytes[at + 2] ?? 0) : 2 + (bytes[at + 1] ?? 0);

  it.each([
    ['DER', []],
    ['BER with the content in pieces', ['-stream']],
    ['SHA-384 and a key identifier', ['-md', 'sha384', '-keyid']],
  ])('reads its %s', async (_, extra) => {
    const result = await verifySignedData(signed([...VOUCHER, ...extra]), options);
    expect(Buffer.from(result.content)).toEqual(content);
  });

  it('knows its signer by the key identifier of its certificate, however that was made', async () => {
    using tool = openssl();
    const lasting = makeCa('Test CA', { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NO_EXPIRY_MS });
    tool.write('ca', lasting.certificate.pem);
    tool.write('ca.key', exportPrivateKey(lasting.key).reveal());
    const makeSigner = (name: string, keyId: string): void => {
      tool.write('e', `subjectKeyIdentifier = ${keyId}\n`);
      const key = exportPrivateKey(generateKeyPair().privateKey).reveal();
      tool.run('req', '-new', '-key', tool.write(`${name}.key`, key), '-subj', `/CN=${name}`, '-out', 'csr');
      const by = ['-CA', 'ca', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'e'];
      tool.run('x509', '-req', '-in', 'csr', ...by, '-out', name);
    };
    // RFC 7093: of SHA-256, cut or whole; RFC 5280 4.2.1.2: any other way.
    makeSigner('short', '00:11:22:33');
    makeSigner('long', Buffer.alloc(32, 0xab).toString('hex'));
    tool.write('in', content);
    const sign = (name: string, beside: string): Buffer =>
      signBy(tool, name, `${name}.key`, '-keyid', '-certfile', beside, ...VOUCHER);
    for (const [name, beside] of [
      ['short', 'long'],
      ['long', 'short'],
    ] as const) {
      const { notBeforeMs: atMs } = parseCertificate(tool.read(name).toString());
      const result = await verifySignedData(sign(name, beside), {
        ...options,
        anchors: [lasting.certificate],
        atMs,
      });
      expect([result.signer.subject.commonName, Buffer.from(result.content)]).toEqual([name, content]);
    }
  });

  it('refuses a signature without attributes over a type of its own', async () => {
    expect(await refusal(verifySignedData(signed([...VOUCHER, '-noattr']), options))).toBe('pki/untrusted');
  });

  it.each([
    ['DER', []],
    ['BER with the content in pieces', ['-stream']],
    ['SHA-512', ['-md', 'sha512']],
  ])('reads plain data that is signed without attributes (RFC 5652 5.3): %s', async (_, extra) => {
    const plain = { ...options, contentTypes: [OID.data] };
    const theirs = signed(['-noattr', ...extra]);
    expect(Buffer.from((await verifySignedData(theirs, plain)).content)).toEqual(content);
    const bent = Uint8Array.from(theirs);
    bent[theirs.indexOf('some content')] = 0x53;
    expect(await refusal(verifySignedData(bent, plain))).toBe('pki/untrusted');
    const another = { ...plain, anchors: [makeCa().certificate] };
    expect(await refusal(verifySignedData(theirs, another))).toBe('pki/untrusted');
  });

  it('takes no attributes that were signed elsewhere for content', async () => {
    // What the signature of a message with attributes is over, handed on as content without any.
    const theirs = signed(VOUCHER);
    const tag = Buffer.from('a0', 'hex');
    const contentTypeAt = theirs.lastIndexOf(Buffer.from('06092a864886f70d010903', 'hex'));
    const attributesAt = theirs.lastIndexOf(tag, contentTypeAt - 1);
    const attributes = Buffer.concat([
      Buffer.of(0x31),
      theirs.subarray(attributesAt + 1, attributesAt + lengthOf(theirs, attributesAt)),
    ]);
    const plain = { ...options, contentTypes: [OID.data] };
    await expect(verifySignedData(signed(['-noattr'], attributes), plain)).rejects.toThrow(
      /may be the attributes of another/,
    );
  });

  it('knows its signer where that is an anchor and came with no certificate', async () => {
    const itself = { ...options, anchors: [signer.certificate] };
    const bare = signed([...VOUCHER, '-nocerts']);
    expect(Buffer.from((await verifySignedData(bare, itself)).content)).toEqual(content);
    expect(await refusal(verifySignedData(bare, options))).toBe('pki/untrusted');
  });

  it.each([['beside its signer'], ['without a certificate', '-nocerts']])(
    'knows its signer by a key identifier that is no SHA-1 of the key: %s',
    async (_, ...extra) => {
      using tool = openssl();
      tool.write('s.key', exportPrivateKey(signer.key).reveal());
      tool.write('in', content);
      // RFC 7093 has others, and Go 1.25 makes them.
      const id = ['-addext', 'subjectKeyIdentifier=0102030405060708', '-addext', 'basicConstraints=CA:FALSE'];
      tool.run('req', '-x509', '-new', '-key', 's.key', '-subj', '/CN=signer', ...id, '-out', 's.pem');
      const theirs = signBy(tool, 's.pem', 's.key', '-keyid', ...extra, ...VOUCHER);
      const anchor = parseCertificate(tool.read('s.pem').toString());
      const itself = { ...options, anchors: [anchor], atMs: anchor.notBeforeMs };
      expect((await verifySignedData(theirs, itself)).signer.spkiSha256).toBe(anchor.spkiSha256);
      expect(await refusal(verifySignedData(theirs, options))).toBe('pki/untrusted');
    },
  );

  it('takes no offence at certificates that nothing here can use, but where one of them signed', async () => {
    using tool = openssl();
    // A root of Ed25519 above the CA that is believed, and one of version 1.
    writeUnusableRoot(tool);
    tool.write('o', exportPrivateKey(generateKeyPair().privateKey).reveal());
    tool.run('req', '-new', '-key', 'o', '-subj', '/CN=Old', '-out', 'old.csr');
    tool.run('x509', '-req', '-in', 'old.csr', '-signkey', 'o', '-out', 'old');
    tool.write('more', `${tool.read('root').toString()}${tool.read('old').toString()}`);
    tool.write('s', signer.certificate.pem);
    tool.write('s.key', exportPrivateKey(signer.key).reveal());
    tool.write('in', content);
    const by = (certificate: string, key: string, beside: string): Promise<unknown> =>
      verifySignedData(signBy(tool, certificate, key, '-certfile', beside, ...VOUCHER), options);
    expect(await by('s', 's.key', 'more')).toMatchObject({ content: Uint8Array.from(content) });
    await expect(by('old', 'o', 'root')).rejects.toThrow(/Certificate version/);
  });
});
