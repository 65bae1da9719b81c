/** CMS that openssl encrypted to a box's certificate (RFC 8572 3.4), in the ways that it has; and what does not open. */
import { type KeyObject, createPrivateKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { readUntrustedConveyed } from '../../../src/pki/conveyed.ts';
import { type Der, decode, encode, octets, oid, raw, sequence, setOf, tagged } from '../../../src/pki/der.ts';
import { openEnveloped, type OpenOptions } from '../../../src/pki/enveloped.ts';
import { recipientOf } from '../../../src/pki/keyEncryption.ts';
import { OID } from '../../../src/pki/oids.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { hasOpenssl, openssl } from './domain.ts';

const P256 = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const P384 = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'];
const P521 = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-521'];
const RSA = ['rsa:2048'];
const DOCUMENT = Buffer.from('{"ietf-sztp-conveyed-info:redirect-information":{}}');

interface Party extends OpenOptions {
  readonly pem: string;
  readonly key: KeyObject;
}

/** Made once a kind: an RSA key costs more than all else here. */
const parties = new Map<string, Party>();
function party(kind: readonly string[], name = 'box'): Party {
  const id = `${name} ${kind.join(' ')}`;
  const known = parties.get(id);
  if (known !== undefined) return known;
  using tool = openssl();
  const files = ['-keyout', 'k', '-out', 'c', '-subj', `/CN=${name}`, '-days', '9'];
  // As the certificates of boxes have it, and as nobody who encrypts to them minds.
  tool.run('req', '-x509', '-newkey', ...kind, '-nodes', ...files, '-addext', 'keyUsage=digitalSignature');
  const pem = tool.read('c').toString();
  const key = createPrivateKey(tool.read('k'));
  const made = { pem, key, certificate: parseCertificate(pem), recipient: recipientOf(key) };
  parties.set(id, made);
  return made;
}

/** To each of them, the last with `how`. */
function encrypted(content: Uint8Array, to: readonly Party[], how: readonly string[]): Buffer {
  using tool = openssl();
  tool.write('in', content);
  const recipients = to.flatMap(({ pem }, at) => ['-recip', tool.write(`c${at}`, pem)]);
  const form = ['-binary', '-in', 'in', '-outform', 'DER', '-out', 'out'];
  tool.run('cms', '-encrypt', ...form, ...recipients, ...how);
  return tool.read('out');
}

/** CMS that somebody signed, as openssl writes it; nobody here looks at by whom. */
const signed = (() => {
  let made: Buffer | undefined;
  return (): Buffer => {
    if (made !== undefined) return made;
    using tool = openssl();
    const { pem, key } = party(P256, 'signer');
    tool.write('c', pem);
    tool.write('k', key.export({ type: 'pkcs8', format: 'pem' }).toString());
    tool.write('in', DOCUMENT);
    const form = ['-binary', '-nodetach', '-in', 'in', '-outform', 'DER', '-out', 'out'];
    tool.run('cms', '-sign', ...form, '-signer', 'c', '-inkey', 'k');
    made = tool.read('out');
    return made;
  };
})();

const CBC = '-aes-256-cbc';
const keyopt = (...words: readonly string[]): string[] => words.flatMap((word) => ['-keyopt', word]);

async function refusalOf(message: Uint8Array, who: OpenOptions): Promise<string> {
  try {
    await openEnveloped(message, who);
    return 'opened';
  } catch (thrown) {
    if (!(thrown instanceof BranchboxError)) throw thrown;
    return `${thrown.code}: ${thrown.message}`;
  }
}
const SEALED =
  'pki/malformed: What came is encrypted to this box and does not open: it was altered, or what is inside is no artefact of RFC 8572';

/** The body of a message with one of its fields made anew: recipients are 1, the encrypted content is 2. */
function rebuilt(
  message: Uint8Array,
  field: number,
  make: (old: ReturnType<typeof decode>) => Der,
): Uint8Array {
  const [type, wrapped] = decode(message).children;
  const fields = wrapped?.children[0]?.children ?? [];
  const made = fields.map((one, at) => (at === field ? make(one) : raw(one.bytes)));
  return encode(sequence(raw(type?.bytes ?? message), tagged(0, sequence(...made))));
}
/** Of a message in DER to one recipient by key agreement. */
const wrappedKeyOf = (message: Uint8Array): Uint8Array => {
  const recipients = decode(message).children[1]?.children[0]?.children[1];
  const key = recipients?.children[0]?.children.at(-1)?.children[0]?.children[1];
  return key?.content ?? new Uint8Array();
};
const retyped = (message: Uint8Array, type: string): Uint8Array =>
  rebuilt(message, 2, ({ children }) =>
    sequence(oid(type), ...children.slice(1).map(({ bytes }) => raw(bytes))),
  );
const flipped = (message: Uint8Array, at: number): Uint8Array => {
  const bent = Uint8Array.from(message);
  bent[at] = (bent[at] ?? 0) ^ 1;
  return bent;
};

describe.skipIf(!hasOpenssl)('CMS encrypted by openssl', { timeout: 60_000 }, () => {
  it.each([
    ['P-256, untold', P256, [CBC]],
    ['P-256, in BER', P256, ['-aes-128-cbc', '-stream']],
    ['P-256, named by its key', P256, [CBC, '-keyid']],
    ['P-256, SHA-256', P256, ['-aes-192-cbc', ...keyopt('ecdh_kdf_md:sha256')]],
    [
      'P-256, SHA-384 and another wrap',
      P256,
      ['-aes-128-cbc', '-aes256-wrap', ...keyopt('ecdh_kdf_md:sha384')],
    ],
    ['P-256, SHA-512 and cofactor', P256, [CBC, ...keyopt('ecdh_kdf_md:sha512', 'ecdh_cofactor_mode:1')]],
    ['P-256, AES-GCM', P256, ['-aes-256-gcm']],
    ['P-256, AES-GCM in BER', P256, ['-aes-128-gcm', '-stream']],
    ['P-384', P384, [CBC, ...keyopt('ecdh_kdf_md:sha384')]],
    ['P-521', P521, ['-aes-192-gcm']],
    ['RSA', RSA, [CBC]],
    ['RSA, named by its key', RSA, ['-aes-128-cbc', '-keyid']],
    ['RSA, AES-GCM', RSA, ['-aes-128-gcm']],
    ['RSAES-OAEP, untold', RSA, [CBC, ...keyopt('rsa_padding_mode:oaep')]],
    ['RSAES-OAEP, SHA-256', RSA, [CBC, ...keyopt('rsa_padding_mode:oaep', 'rsa_oaep_md:sha256')]],
    ['RSAES-OAEP, a label', RSA, [CBC, ...keyopt('rsa_padding_mode:oaep', 'rsa_oaep_label:0102')]],
  ])('opens: %s', async (_, kind, how) => {
    const box = party(kind);
    const message = encrypted(signed(), [box], how);
    expect(Buffer.from(await openEnveloped(message, box)).equals(signed())).toBe(true);
  });

  it('opens for each of its recipients, and for nobody else', async () => {
    const [box, other, rsa] = [party(P256), party(P256, 'other'), party(RSA)];
    const message = encrypted(signed(), [other, rsa], [CBC]);
    expect(await refusalOf(message, other)).toBe('opened');
    expect(await refusalOf(message, rsa)).toBe('opened');
    const words =
      "pki/mismatch: What came is encrypted to others: none of its recipients (2) is this box's certificate";
    expect(await refusalOf(message, box)).toBe(words);
    // The name alone opens nothing.
    expect(await refusalOf(message, { certificate: other.certificate, recipient: box.recipient })).toBe(
      SEALED,
    );
    expect(await refusalOf(message, { certificate: rsa.certificate, recipient: box.recipient })).toBe(
      'pki/mismatch: What came is encrypted by RSA, and the key of this box is of type ec',
    );
  });

  it('leaves alone what is not encrypted', async () => {
    expect(await openEnveloped(signed(), party(P256))).toBe(signed());
    expect(await openEnveloped(DOCUMENT, party(P256))).toBe(DOCUMENT);
  });

  it('takes each form that senders give signed data inside', async () => {
    const box = party(P256);
    const body = decode(signed()).children[1]?.children[0]?.bytes ?? new Uint8Array();
    const inOctets = body.subarray(4);
    for (const inside of [signed(), body, inOctets]) {
      const message = retyped(encrypted(inside, [box], [CBC]), OID.signedData);
      // oxlint-disable-next-line no-await-in-loop -- one after the other tells which.
      const { content } = readUntrustedConveyed(await openEnveloped(message, box));
      expect(Buffer.from(content).equals(DOCUMENT)).toBe(true);
    }
  });

  it('takes what nobody signed, by its type or as data', async () => {
    const box = party(RSA);
    const message = encrypted(DOCUMENT, [box], [CBC]);
    for (const type of [OID.data, OID.conveyedJson]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other tells which.
      const read = readUntrustedConveyed(await openEnveloped(retyped(message, type), box));
      expect(read).toMatchObject({ format: 'json', owner: undefined });
    }
    expect(await refusalOf(retyped(message, OID.voucherJson), box)).toBe(SEALED);
    expect(await refusalOf(encrypted(Buffer.from('no artefact'), [box], [CBC]), box)).toBe(SEALED);
  });

  it('never opens as it was with a bit flipped in AES-GCM, and says no more of one place than of another', async () => {
    const box = party(P256);
    const message = encrypted(signed(), [box], ['-aes-128-gcm']);
    const contentAt = message.length - signed().length - 18;
    const said = new Set<string>();
    for (let at = contentAt; at < message.length; at += 7) {
      // oxlint-disable-next-line no-await-in-loop -- some hundred at once gain nothing.
      said.add(await refusalOf(flipped(message, at), box));
    }
    said.add(await refusalOf(flipped(message, message.length - 1), box));
    expect([...said].filter((words) => words === 'opened')).toEqual([]);
    expect(said).toContain(SEALED);
  });

  it('tells a wrong padding of RSA, of CBC and a wrong key in one sentence', async () => {
    const [box, ec] = [party(RSA), party(P256)];
    const message = encrypted(signed(), [box], [CBC]);
    const keyAt = message.indexOf(Buffer.from('04820100', 'hex')) + 4;
    const wrapped = encrypted(signed(), [ec], [CBC]);
    // The last block but one: what it changes is the padding, and as much as 15 octets before it.
    const [byPadding, byKey, byWrap] = [
      flipped(message, message.length - 17),
      flipped(message, keyAt + 100),
      flipped(wrapped, wrapped.indexOf(wrappedKeyOf(wrapped)) + 9),
    ];
    expect(await refusalOf(byPadding, box)).toBe(SEALED);
    expect(await refusalOf(byKey, box)).toBe(SEALED);
    expect(await refusalOf(byWrap, ec)).toBe(SEALED);
  });

  it('refuses what is encrypted twice, too large, or to a crowd', async () => {
    const box = party(P256);
    const once = encrypted(signed(), [box], [CBC]);
    const twice = encrypted(once, [box], ['-aes-128-gcm']);
    expect(await refusalOf(twice, box)).toBe('pki/malformed: What came is encrypted more than once');
    const large = encrypted(Buffer.alloc(1024 * 1024), [box], [CBC]);
    expect(await refusalOf(large, box)).toMatch(/^pki\/malformed: CMS of \d+ bytes is larger than 1048576$/);
    const crowd = rebuilt(once, 1, ({ children }) =>
      setOf(...Array.from({ length: 65 }, () => raw(children[0]?.bytes ?? once))),
    );
    expect(await refusalOf(crowd, box)).toBe('pki/malformed: Encrypted data has more than 64 recipients');
    const wordy = rebuilt(once, 2, ({ children: [type, algorithm, content] }) => {
      const nothing = Array.from({ length: 600 }, () => octets(new Uint8Array()));
      const parts = (algorithm?.children ?? []).map(({ bytes }) => raw(bytes));
      return sequence(raw(type?.bytes ?? once), sequence(...parts, ...nothing), raw(content?.bytes ?? once));
    });
    expect(await refusalOf(wordy, box)).toBe(
      'pki/malformed: Encrypted data has an algorithm of more than 1024 bytes',
    );
    const deep = sequence(oid(OID.envelopedData), tagged(0, octets(Buffer.alloc(60_000, '3080', 'hex'))));
    expect(await refusalOf(encode(deep), box)).toMatch(/^pki\/malformed: /);
  });

  it('says which way of encrypting it does not know', async () => {
    const [box, rsa] = [party(P256), party(RSA)];
    const words = await refusalOf(encrypted(signed(), [box], ['-des3']), box);
    expect(words).toMatch(
      /^pki\/mismatch: What came is encrypted (with|by key wrap) [\d.]+, which is not known/,
    );
    const twoHashes = keyopt('rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha1');
    expect(await refusalOf(encrypted(signed(), [rsa], [CBC, ...twoHashes]), rsa)).toBe(
      'pki/mismatch: What came is encrypted by RSAES-OAEP with two hashes',
    );
    using tool = openssl();
    tool.write('in', signed());
    const form = ['-binary', '-in', 'in', '-outform', 'DER', '-out', 'out'];
    tool.run('cms', '-encrypt', ...form, CBC, '-pwri_password', 'open');
    expect(await refusalOf(tool.read('out'), box)).toMatch(/none of its recipients \(0\)/);
  });

  it('uses its key with no point that is not on its curve', async () => {
    const box = party(P256);
    const message = encrypted(signed(), [box], [CBC]);
    const pointAt = message.indexOf(Buffer.from('03420004', 'hex')) + 4;
    expect(await refusalOf(flipped(message, pointAt + 40), box)).toBe(
      'pki/malformed: An ephemeral key is not on the curve of its recipient',
    );
  });
});
