/** RSASSA-PSS as a manufacturer may sign by it (RFC 4055, 4056), made by openssl; and what of it is refused. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { validateChain } from '../../../src/pki/chain.ts';
import { verifySignedData } from '../../../src/pki/cmsVerify.ts';
import { OID } from '../../../src/pki/oids.ts';
import { parseRequest } from '../../../src/pki/request.ts';
import { verifyVoucher } from '../../../src/pki/voucher.ts';
import { hasOpenssl, makeCa, openssl, refusal } from './domain.ts';

const PSS = 'rsa_padding_mode:pss';
const salt = (bytes: number | string): string => `rsa_pss_saltlen:${bytes}`;
const ROOT_EXTENSIONS = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=keyCertSign'];
const LEAF_EXTENSIONS = ['basicConstraints=CA:FALSE', 'keyUsage=digitalSignature'];
const flagged = (flag: string, words: readonly string[]): string[] => words.flatMap((word) => [flag, word]);

/** A root and a signer below it; `how` each signs with, and of what kind the signer's key is. */
interface Made {
  /** Of root and signer alike: names tell them apart. */
  readonly key?: string;
  readonly signed?: readonly string[];
}

const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const pssOnly = (hashAlgorithm?: string): string => {
  const mgf1HashAlgorithm = hashAlgorithm;
  const only = hashAlgorithm === undefined ? {} : { hashAlgorithm, mgf1HashAlgorithm };
  return pem(generateKeyPairSync('rsa-pss', { modulusLength: 2048, ...only }).privateKey);
};
/** One for all: making one costs more than all else here. */
const RSA = pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);

function manufacturer(tool: ReturnType<typeof openssl>, made: Made = {}) {
  const { key = RSA, signed = [PSS, salt(32)] } = made;
  tool.write('root.key', key);
  tool.write('s.key', key);
  const subject = ['-subj', '/CN=root', '-days', '9', '-out', 'root.pem', ...ROOT_EXTENSIONS];
  tool.run('req', '-new', '-x509', '-key', 'root.key', ...subject, ...flagged('-sigopt', [PSS, salt(32)]));
  tool.run('req', '-new', '-key', 's.key', '-subj', '/CN=signer', '-out', 's.csr');
  tool.write('ext', LEAF_EXTENSIONS.join('\n'));
  const by = ['-CA', 'root.pem', '-CAkey', 'root.key', '-CAcreateserial', '-days', '8', '-extfile', 'ext'];
  tool.run('x509', '-req', '-in', 's.csr', '-out', 's.pem', ...by, ...flagged('-sigopt', signed));
  return {
    anchor: parseCertificate(tool.read('root.pem').toString()),
    signer: parseCertificate(tool.read('s.pem').toString()),
  };
}

function cms(tool: ReturnType<typeof openssl>, how: readonly string[], content: string | Uint8Array): Buffer {
  tool.write('in', content);
  const type = ['-econtent_type', OID.voucherJson, '-outform', 'DER', '-out', 'm'];
  const keys = ['-signer', 's.pem', '-inkey', 's.key'];
  tool.run('cms', '-sign', '-binary', '-nodetach', '-in', 'in', ...keys, ...type, ...how);
  return tool.read('m');
}

const cmsBy = (how: readonly string[], made: Made = {}) => {
  using tool = openssl();
  const { anchor } = manufacturer(tool, made);
  return {
    message: cms(tool, how, 'content'),
    options: { contentTypes: [OID.voucherJson], anchors: [anchor], atMs: Date.now() },
  };
};
const judge = async (how: readonly string[], made?: Made): Promise<string> => {
  const { message, options } = cmsBy(how, made);
  return refusal(verifySignedData(message, options));
};
const chainOf = async (made: Made): Promise<string> => {
  using tool = openssl();
  const { anchor, signer } = manufacturer(tool, made);
  return refusal(validateChain({ leaf: signer, intermediates: [], anchors: [anchor], atMs: Date.now() }));
};
const keyopt = (...words: readonly string[]): readonly string[] => flagged('-keyopt', words);

describe.skipIf(!hasOpenssl)('RSASSA-PSS of openssl', { timeout: 30_000 }, () => {
  it.each([
    ['SHA-256', ['-md', 'sha256', ...keyopt(PSS, salt(32))]],
    ['SHA-384', ['-md', 'sha384', ...keyopt(PSS, salt(48))]],
    ['SHA-512', ['-md', 'sha512', ...keyopt(PSS, salt(64))]],
    ['SHA-256 as OpenSSL salts it untold (3.0: as much as fits)', keyopt(PSS)],
    ['SHA-256 and the most salt that fits', keyopt(PSS, salt('max'))],
  ])('is taken in CMS: %s', async (_, how) => {
    expect(await judge(how)).toBe('accepted');
  });

  it('is taken in a voucher, under a chain of it', async () => {
    using tool = openssl();
    const { anchor } = manufacturer(tool);
    const pinned = makeCa().certificate;
    const voucher = {
      'created-on': new Date().toISOString(),
      assertion: 'verified',
      'serial-number': 'SN-1',
      'pinned-domain-cert': Buffer.from(pinned.der).toString('base64'),
      nonce: Buffer.alloc(16, 7).toString('base64'),
    };
    const content = JSON.stringify({ 'ietf-voucher:voucher': voucher });
    const message = cms(tool, keyopt(PSS, salt(32)), content);
    const expected = { serialNumber: 'SN-1', nonce: Buffer.alloc(16, 7), idevidIssuer: undefined };
    const said = await verifyVoucher(message, { anchors: [anchor], floorMs: Date.now(), expect: expected });
    expect(said.pinnedDomainCert.fingerprintSha256).toBe(pinned.fingerprintSha256);
  });

  it.each([
    ['SHA-1 in all', ['-md', 'sha1', ...keyopt(PSS, salt(20))]],
    ['SHA-1 in the mask', keyopt(PSS, salt(32), 'rsa_mgf1_md:sha1')],
    ['another hash in the mask', keyopt(PSS, salt(32), 'rsa_mgf1_md:sha512')],
    ['a salt that is too short', keyopt(PSS, salt(20))],
    ['no salt', keyopt(PSS, salt(0))],
  ])('is refused in CMS with %s', async (_, how) => {
    expect(await judge(how)).toBe('pki/untrusted');
  });

  it('is refused in CMS with a bit flipped, of content, of salt, of signature', async () => {
    const { message, options } = cmsBy(keyopt(PSS, salt(32)));
    // The last salt is the CMS's own: [2] INTEGER 32.
    const saltAt = message.lastIndexOf(Buffer.from('a203020120', 'hex')) + 4;
    for (const at of [message.indexOf('content'), saltAt, message.length - 1, message.length - 200]) {
      const bent = Uint8Array.from(message);
      // 32 becomes 33: a salt that would count, and is not the one that was signed with.
      bent[at] = (bent[at] ?? 0) ^ 1;
      // oxlint-disable-next-line no-await-in-loop -- one after the other tells which.
      expect([at, await refusal(verifySignedData(bent, options))]).toEqual([at, 'pki/untrusted']);
    }
    expect(await refusal(verifySignedData(message, options))).toBe('accepted');
  });

  it('is taken in certificates with each of its hashes, and refused there as in CMS', async () => {
    expect(await chainOf({ signed: [PSS, salt(32)] })).toBe('accepted');
    expect(await chainOf({ signed: [PSS] })).toBe('accepted');
    expect(await chainOf({ signed: [PSS, salt(20)] })).toBe('pki/untrusted');
    expect(await chainOf({ signed: [PSS, salt(32), 'rsa_mgf1_md:sha1'] })).toBe('pki/untrusted');
  });

  it('is taken by keys that are for it alone, and nothing else by those', async () => {
    expect(await judge(keyopt(PSS, salt(32)), { key: pssOnly() })).toBe('accepted');
    expect(await judge(keyopt(PSS, salt(32)), { key: pssOnly('sha256') })).toBe('accepted');
    // Not told to, openssl names RSA's other padding in what such a key signed.
    expect(await judge([], { key: pssOnly() })).toBe('pki/untrusted');
  });

  it('is taken in a request', () => {
    using tool = openssl();
    tool.write('k', RSA);
    const ask = (...how: readonly string[]) => {
      tool.run('req', '-new', '-key', 'k', '-subj', '/CN=box', '-out', 'csr', ...flagged('-sigopt', how));
      return parseRequest(tool.read('csr').toString());
    };
    expect(ask(PSS, salt(32)).subject.commonName).toBe('box');
    expect(() => ask(PSS, salt(20))).toThrow('salt of 20 bytes');
    tool.write('k', pssOnly());
    expect(ask(salt(32)).publicKey.asymmetricKeyType).toBe('rsa-pss');
  });
});
