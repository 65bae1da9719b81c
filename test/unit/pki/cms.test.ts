/** CMS messages that we write and read, held against openssl and what must be refused. */
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { certsOnly, parseCertsOnly, signData } from '../../../src/pki/cms.ts';
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
  VALIDITY,
  writeUnusableRoot,
} from './domain.ts';

const ca = makeCa();
const signer = issue(ca, { kind: 'voucher-signing', commonName: 'signer' });
const content = Buffer.from(
  'some content, long enough to be cut into pieces by a streaming writer '.repeat(200),
);
const options = { contentTypes: [OID.voucherJson], anchors: [ca.certificate], atMs: NOW_MS };
const message = signData({ contentType: OID.voucherJson, content, signer, signingTimeMs: NOW_MS });

it('verifies its own', async () => {
  const signed = await verifySignedData(message, options);
  expect(Buffer.from(signed.content)).toEqual(content);
  expect(signed.signer.subject.commonName).toBe('signer');
});

it('refuses another content type, anchor, time; a cut or longer message; no signature', async () => {
  const code = (bytes: Uint8Array, change: object = {}) =>
    refusal(verifySignedData(bytes, { ...options, ...change }));
  expect(await code(message, { contentTypes: [OID.conveyedJson] })).toBe('pki/mismatch');
  expect(await code(message, { anchors: [makeCa().certificate] })).toBe('pki/untrusted');
  expect(await code(message, { atMs: VALIDITY.notAfterMs + DAY_MS })).toBe('pki/expired');
  expect(await code(message.subarray(0, -1))).toBe('pki/malformed');
  expect(await code(Buffer.concat([message, Buffer.of(0)]))).toBe('pki/malformed');
  expect(await code(certsOnly([ca.certificate]), { contentTypes: [OID.data] })).toBe('pki/malformed');
  expect(await code(message, { maxBytes: 100 })).toBe('pki/malformed');
});

describe('an object identifier without end, which takes a second to read,', () => {
  const tlv = (tag: number, value: Uint8Array, length = Buffer.of(0x83, 0, 0, 0)): Buffer => {
    length.writeUIntBE(value.length, 1, 3);
    return Buffer.concat([Buffer.of(tag), length, value]);
  };
  const endless = tlv(6, Buffer.alloc(200_000, 0x7f));
  it.each([
    ['by itself', endless],
    ['as a relative one', tlv(0x0d, Buffer.alloc(200_000, 0x7f))],
    ['in a sequence', tlv(0x30, Buffer.concat([tlv(5, Buffer.alloc(0)), endless]))],
    ['in octets', tlv(4, endless)],
    ['in octets of octets', tlv(4, tlv(4, endless))],
    ['in bits', tlv(3, Buffer.concat([Buffer.of(0), endless]))],
    ['behind a length that is not said', Buffer.concat([Buffer.of(0x30, 0x80), endless, Buffer.of(0, 0)])],
    ['in such within octets', tlv(4, Buffer.concat([Buffer.of(0x30, 0x80), endless, Buffer.of(0, 0)]))],
    [
      'behind a tag of three octets',
      Buffer.concat([Buffer.of(0x3f, 0x81, 0x01, 0x80), endless, Buffer.of(0, 0)]),
    ],
  ])('%s is refused before it is read', async (_where, bytes) => {
    const thrown: unknown = await verifySignedData(bytes, options).catch((error: unknown) => error);
    expect(String(thrown)).toContain('an object identifier without end');
  });
});

it('refuses what takes long to read: a certificate over and over, values without end', async () => {
  const carrying = (copies: number) =>
    signData({
      contentType: OID.voucherJson,
      content,
      signer: { ...signer, chain: Array.from({ length: copies }, () => signer.certificate) },
      signingTimeMs: NOW_MS,
    });
  const said = (bytes: Uint8Array) => verifySignedData(bytes, options).catch(String);
  expect(await said(carrying(16))).toMatchObject({ contentType: OID.voucherJson });
  expect(await said(carrying(17))).toMatch(/it came with 18 certificates, more than 17/);
  const nulls = (count: number) => {
    const values = Buffer.concat(Array.from({ length: count }, () => Buffer.of(5, 0)));
    return Buffer.concat([Buffer.of(0x30, 0x82, values.length >> 8, values.length & 0xff), values]);
  };
  expect(await said(nulls(3_900))).not.toMatch(/are not one CMS message/);
  expect(await said(nulls(4_100))).toMatch(/are not one CMS message/);
});

it('refuses a content type that the signature is not over', async () => {
  // The type in the envelope is changed, the one in the signed attributes stays: .40 for .43.
  const changed = Buffer.from(message);
  const type = Buffer.from('060b2a864886f70d0109100128', 'hex');
  changed[changed.indexOf(type) + type.length - 1] = 43;
  const wanted = { ...options, contentTypes: [OID.conveyedJson] };
  expect(await refusal(verifySignedData(changed, wanted))).toBe('pki/untrusted');
});

it('carries certificates alone', () => {
  const names = parseCertsOnly(certsOnly([signer.certificate, ca.certificate])).map(
    (one) => one.subject.commonName,
  );
  expect(names.toSorted((a, b) => a?.localeCompare(b ?? '') ?? 0)).toEqual(['signer', 'Test CA']);
});

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
    tool.write('c.der', certsOnly([signer.certificate, ca.certificate]));
    // OpenSSL 3.0 (Debian 12) writes `CN = signer`, 3.5 (Debian 13) `CN=signer`.
    expect(tool.run('pkcs7', '-inform', 'DER', '-in', 'c.der', '-print_certs')).toMatch(/CN ?= ?signer/);
  });

  const signed = (extra: readonly string[], contentType: string = OID.voucherJson): Buffer => {
    using tool = openssl();
    tool.write('s.pem', signer.certificate.pem);
    tool.write('s.key', exportPrivateKey(signer.key).reveal());
    tool.write('in', content);
    const type = ['-econtent_type', contentType];
    const keys = ['-signer', 's.pem', '-inkey', 's.key'];
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
      ...keys,
      ...type,
      ...extra,
    );
    return tool.read('m');
  };

  /** Header and all, of what has a length of one octet or of two behind 0x81. */
  const lengthOf = (bytes: Uint8Array, at: number): number =>
    bytes[at + 1] === 0x81 ? 3 + (bytes[at + 2] ?? 0) : 2 + (bytes[at + 1] ?? 0);

  it.each([
    ['DER', []],
    ['BER with the content in pieces', ['-stream']],
    ['SHA-384 and a key identifier', ['-md', 'sha384', '-keyid']],
  ])('reads its %s', async (_, extra) => {
    const result = await verifySignedData(signed(extra), options);
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
    const sign = (name: string, beside: string): Buffer => {
      const keys = ['-signer', name, '-inkey', `${name}.key`, '-keyid', '-certfile', beside];
      const type = ['-econtent_type', OID.voucherJson];
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
        ...keys,
        ...type,
      );
      return tool.read('m');
    };
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
    expect(await refusal(verifySignedData(signed(['-noattr']), options))).toBe('pki/untrusted');
  });

  it.each([
    ['DER', []],
    ['BER with the content in pieces', ['-stream']],
    ['SHA-512', ['-md', 'sha512']],
  ])('reads plain data that is signed without attributes (RFC 5652 5.3): %s', async (_, extra) => {
    const plain = { ...options, contentTypes: [OID.data] };
    const theirs = signed(['-noattr', ...extra], OID.data);
    expect(Buffer.from((await verifySignedData(theirs, plain)).content)).toEqual(content);
    const bent = Uint8Array.from(theirs);
    bent[theirs.indexOf('some content')] = 0x53;
    expect(await refusal(verifySignedData(bent, plain))).toBe('pki/untrusted');
    const another = { ...plain, anchors: [makeCa().certificate] };
    expect(await refusal(verifySignedData(theirs, another))).toBe('pki/untrusted');
  });

  it('takes no attributes that were signed elsewhere for content', async () => {
    // What the signature of a message with attributes is over, handed on as content without any.
    const theirs = signed([]);
    const tag = Buffer.from('a0', 'hex');
    const contentTypeAt = theirs.lastIndexOf(Buffer.from('06092a864886f70d010903', 'hex'));
    const attributesAt = theirs.lastIndexOf(tag, contentTypeAt - 1);
    const attributes = Buffer.concat([
      Buffer.of(0x31),
      theirs.subarray(attributesAt + 1, attributesAt + lengthOf(theirs, attributesAt)),
    ]);
    using tool = openssl();
    tool.write('s.pem', signer.certificate.pem);
    tool.write('s.key', exportPrivateKey(signer.key).reveal());
    tool.write('in', attributes);
    const keys = ['-signer', 's.pem', '-inkey', 's.key', '-noattr', '-outform', 'DER', '-out', 'm'];
    tool.run('cms', '-sign', '-binary', '-nodetach', '-in', 'in', ...keys);
    const plain = { ...options, contentTypes: [OID.data] };
    await expect(verifySignedData(tool.read('m'), plain)).rejects.toThrow(/may be the attributes of another/);
  });

  it('knows its signer where that is an anchor and came with no certificate', async () => {
    const itself = { ...options, anchors: [signer.certificate] };
    const bare = signed(['-nocerts']);
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
      const who = ['-signer', 's.pem', '-inkey', 's.key', '-keyid', ...extra];
      const what = ['-in', 'in', '-econtent_type', OID.voucherJson];
      tool.run('cms', '-sign', '-binary', '-nodetach', ...what, ...who, '-outform', 'DER', '-out', 'm');
      const anchor = parseCertificate(tool.read('s.pem').toString());
      const itself = { ...options, anchors: [anchor], atMs: anchor.notBeforeMs };
      expect((await verifySignedData(tool.read('m'), itself)).signer.spkiSha256).toBe(anchor.spkiSha256);
      expect(await refusal(verifySignedData(tool.read('m'), options))).toBe('pki/untrusted');
    },
  );

  it('reads its certs-only message', () => {
    using tool = openssl();
    tool.write('a.pem', ca.certificate.pem + signer.certificate.pem);
    tool.run('crl2pkcs7', '-nocrl', '-certfile', 'a.pem', '-outform', 'DER', '-out', 'p7');
    expect(parseCertsOnly(tool.read('p7'))).toHaveLength(2);
  });

  it('reads certs-only messages with a CRL, a certificate twice, and lengths that are not said', () => {
    using tool = openssl();
    tool.write('ca', ca.certificate.pem);
    tool.write('ca.key', exportPrivateKey(ca.key).reveal());
    tool.write('c', '[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=9\n');
    tool.write('index', '');
    tool.run('ca', '-gencrl', '-config', 'c', '-cert', 'ca', '-keyfile', 'ca.key', '-out', 'crl');
    tool.write('all', ca.certificate.pem + signer.certificate.pem + ca.certificate.pem);
    tool.run('crl2pkcs7', '-in', 'crl', '-certfile', 'all', '-outform', 'DER', '-out', 'p7');
    const names = (bytes: Uint8Array) => parseCertsOnly(bytes).map(({ subject }) => subject.commonName);
    expect(names(tool.read('p7'))).toEqual(['Test CA', 'signer', 'Test CA']);
    tool.run('crl', '-in', 'crl', '-outform', 'DER', '-out', 'crl.der');
    const open = (tag: number, ...parts: readonly Uint8Array[]): Buffer =>
      Buffer.concat([Buffer.of(tag, 0x80), ...parts, Buffer.of(0, 0)]);
    const oid = (arcs: string): Buffer => Buffer.from(`06092a864886f70d0107${arcs}`, 'hex');
    // As Bouncy Castle writes: every length but those of the certificates and the list.
    const certificates = open(0xa0, ca.certificate.der, signer.certificate.der);
    const lists = open(0xa1, tool.read('crl.der'));
    const none = open(0x30, oid('01'));
    const signed = open(
      0x30,
      Buffer.from('020101', 'hex'),
      open(0x31),
      none,
      certificates,
      lists,
      open(0x31),
    );
    expect(names(open(0x30, oid('02'), open(0xa0, signed)))).toEqual(['Test CA', 'signer']);
  });

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
    const by = (certificate: string, key: string, beside: string): Promise<unknown> => {
      const what = ['-in', 'in', '-econtent_type', OID.voucherJson, '-certfile', beside];
      const who = ['-signer', certificate, '-inkey', key];
      tool.run('cms', '-sign', '-binary', '-nodetach', ...what, ...who, '-outform', 'DER', '-out', 'm');
      return verifySignedData(tool.read('m'), options);
    };
    expect(await by('s', 's.key', 'more')).toMatchObject({ content: Uint8Array.from(content) });
    await expect(by('old', 'o', 'root')).rejects.toThrow(/Certificate version/);
  });

  it('leaves out of a certs-only message what nothing here can use, and says so where that is all', () => {
    using tool = openssl();
    const ask = ['-x509', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=Other', '-days', '9'];
    tool.run('req', ...ask, '-keyout', 'k', '-out', 'other.pem');
    tool.write('a.pem', ca.certificate.pem);
    const both = ['-certfile', 'other.pem', '-certfile', 'a.pem'];
    tool.run('crl2pkcs7', '-nocrl', ...both, '-outform', 'DER', '-out', 'p7');
    tool.run('crl2pkcs7', '-nocrl', '-certfile', 'other.pem', '-outform', 'DER', '-out', 'alone');
    expect(parseCertsOnly(tool.read('p7')).map(({ spkiSha256 }) => spkiSha256)).toEqual([
      ca.certificate.spkiSha256,
    ]);
    expect(() => parseCertsOnly(tool.read('alone'))).toThrow(/ed25519/i);
  });
});
