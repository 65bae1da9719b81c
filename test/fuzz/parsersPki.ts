/**
 * Owns the parsers of src/pki: certificates, chains, CMS, vouchers, requests, lists, JWS.
 */
import { createPrivateKey } from 'node:crypto';
import { type Certificate, parseCertificate, parseCertificates } from '../../src/pki/certificate.ts';
import { validateChain } from '../../src/pki/chain.ts';
import { parseCertsOnly } from '../../src/pki/cms.ts';
import { verifySignedData } from '../../src/pki/cmsVerify.ts';
import { readCms } from '../../src/pki/cmsRead.ts';
import { readUntrustedConveyed, verifyConveyed } from '../../src/pki/conveyed.ts';
import { openEnveloped } from '../../src/pki/enveloped.ts';
import { recipientOf } from '../../src/pki/keyEncryption.ts';
import { readRevocationLists, type SignedList, verifyRevocationList } from '../../src/pki/crlVerify.ts';
import { decode } from '../../src/pki/der.ts';
import { verifyJws } from '../../src/pki/jws.ts';
import { OID } from '../../src/pki/oids.ts';
import { toPemBlock } from '../../src/pki/pem.ts';
import { parseRequest } from '../../src/pki/request.ts';
import { readSignatureAlgorithm } from '../../src/pki/signatureAlgorithm.ts';
import { readVoucher, verifyVoucher } from '../../src/pki/voucher.ts';
import { NOW_MS, SERIAL } from '../unit/bootstrap/authorities.ts';
import { NONCE } from './makeSamples.ts';
import { mutateDer } from './mutateDer.ts';
import { mutateJson } from './mutateJson.ts';
import { mutateJws } from './mutateJws.ts';
import { mutateText } from './mutateText.ts';
import type { FuzzParser } from './parser.ts';
import { type Samples, text } from './samples.ts';

/** What a certificate says, without its signature. */
export const saidBy = (one: Certificate): string =>
  JSON.stringify({ ...one, der: '', pem: '', publicKey: '', fingerprintSha256: '' });

const saidOf = (lists: readonly SignedList[]): string =>
  JSON.stringify(lists.map((list) => ({ ...list, der: '', revoked: [...list.revoked] })));

export function pkiParsers(samples: Samples): readonly FuzzParser[] {
  const der = (name: keyof Samples): Uint8Array => Buffer.from(samples[name], 'base64');
  const [manufacturer, domain, between, idevid] = (
    ['manufacturer', 'domain', 'between', 'idevid'] as const
  ).map((name) => parseCertificate(der(name)));
  if (manufacturer === undefined || domain === undefined || between === undefined || idevid === undefined) {
    throw new Error('unreachable: four names give four certificates');
  }
  const pssSigner = parseCertificate(
    readCms(der('pssSigned'), 1024 * 1024).certificates[0] ?? new Uint8Array(),
  );
  const voucherOptions = (nonce: Uint8Array | undefined) => ({
    anchors: [manufacturer],
    floorMs: NOW_MS,
    expect: { serialNumber: SERIAL, idevidIssuer: idevid.authorityKeyId, nonce },
  });
  const certificates = (
    ['idevid', 'moduleIdevid', 'ldevid', 'between', 'below', 'manufacturer'] as const
  ).map(der);
  const common = { mutate: mutateDer, refusals: ['pki/'], isSigned: false } as const;
  const signed = { ...common, isSigned: true } as const;
  const contentOf = (message: Uint8Array): Uint8Array =>
    readCms(message, 1024 * 1024).content ?? new Uint8Array();
  const voucherSaid = ({ pinnedDomainCert, ...rest }: Awaited<ReturnType<typeof verifyVoucher>>): string =>
    JSON.stringify([rest, saidBy(pinnedDomainCert)]);
  const encryptedTo = (who: 'recipient' | 'rsaRecipient') => ({
    certificate: parseCertificate(der(who)),
    recipient: recipientOf(
      createPrivateKey({ key: Buffer.from(der(`${who}Key`)), format: 'der', type: 'pkcs8' }),
    ),
  });
  const [toBox, toRsaBox] = [encryptedTo('recipient'), encryptedTo('rsaRecipient')];
  const openedBy = async (input: Uint8Array, who: typeof toBox): Promise<string> => {
    const content = await openEnveloped(input, who);
    return content === input ? 'not encrypted' : Buffer.from(content).toString('base64');
  };
  const jws = { ...signed, mutate: mutateJws, share: 2 } as const;

  return [
    {
      ...common,
      name: 'certificate',
      covers: [
        'certificate#parseCertificate',
        'name#readName',
        'name#readAlternativeNames',
        'name#readHardwareSerial',
      ],
      share: 10,
      samples: certificates,
      parse: (input) => saidBy(parseCertificate(input)),
    },
    {
      ...signed,
      name: 'chain',
      covers: ['chain#validateChain'],
      share: 2,
      samples: [der('below'), der('ldevid')],
      parse: async (input) => {
        const leaf = parseCertificate(input);
        const options = { leaf, intermediates: [between], anchors: [domain], atMs: NOW_MS };
        return (await validateChain(options)).map(saidBy).join();
      },
    },
    {
      ...common,
      name: 'pem',
      covers: ['certificate#parseCertificates', 'pem#fromPem'],
      share: 5,
      mutate: mutateText,
      samples: [text(certificates.map((one) => toPemBlock('CERTIFICATE', one)).join('\n'))],
      parse: (input) => String(parseCertificates(Buffer.from(input).toString('utf8')).length),
    },
    {
      ...common,
      name: 'cms',
      covers: ['cmsRead#readCms', 'conveyed#readUntrustedConveyed'],
      share: 10,
      samples: [der('bareRedirect'), der('conveyed'), der('signedRedirect')],
      parse: (input) => readUntrustedConveyed(input).format,
    },
    {
      ...common,
      name: 'cms-ber',
      covers: [],
      share: 3,
      samples: [der('berSigned'), der('voucher')],
      parse: (input) => String(readCms(input, 1024 * 1024).signers.length),
    },
    {
      // Nobody vouches for what CBC encrypts: a mutant may be taken for what it is not, and is judged like all others.
      ...common,
      name: 'enveloped',
      maxBytes: 512 * 1024,
      covers: ['envelopedRead#readEnveloped', 'enveloped#openEnveloped', 'keyEncryption#contentKeyOf'],
      share: 3,
      samples: [der('enveloped')],
      parse: (input) => openedBy(input, toBox),
    },
    {
      ...common,
      name: 'enveloped-gcm',
      maxBytes: 512 * 1024,
      covers: [],
      share: 3,
      samples: [der('authEnveloped')],
      parse: (input) => openedBy(input, toBox),
    },
    {
      ...common,
      name: 'enveloped-rsa',
      maxBytes: 512 * 1024,
      covers: [],
      share: 1,
      samples: [der('rsaEnveloped')],
      parse: (input) => openedBy(input, toRsaBox),
    },
    {
      ...common,
      name: 'certs-only',
      covers: ['cms#parseCertsOnly', 'certificate#readUsable'],
      share: 3,
      samples: [der('certsOnly'), der('ownerCertificate')],
      parse: (input) => parseCertsOnly(input).map(saidBy).join(),
    },
    {
      ...signed,
      name: 'signed-data-ber',
      covers: ['cmsVerify#verifySignedData'],
      share: 2,
      samples: [der('berSigned')],
      parse: async (input) => {
        const options = { contentTypes: [OID.voucherJson], anchors: [manufacturer], atMs: NOW_MS };
        const { content, signer } = await verifySignedData(input, options);
        return `${Buffer.from(content).toString('base64')} ${saidBy(signer)}`;
      },
    },
    {
      ...signed,
      name: 'signed-data-pss',
      covers: [],
      share: 2,
      samples: [der('pssSigned')],
      parse: async (input) => {
        const atMs = pssSigner.notBeforeMs;
        const options = { contentTypes: [OID.voucherJson], anchors: [pssSigner], atMs };
        const { content, signer } = await verifySignedData(input, options);
        return `${Buffer.from(content).toString('base64')} ${saidBy(signer)}`;
      },
    },
    {
      ...common,
      name: 'signature-algorithm',
      covers: [
        'signatureAlgorithm#readSignatureAlgorithm',
        'signatureAlgorithm#readPssParameters',
        'signatureAlgorithm#verifySignature',
      ],
      share: 3,
      samples: readCms(der('pssSigned'), 1024 * 1024).signers.map(({ signatureDer }) => signatureDer),
      parse: (input) => JSON.stringify(readSignatureAlgorithm(decode(input))),
    },
    {
      ...signed,
      name: 'voucher',
      covers: ['voucher#verifyVoucher'],
      share: 2,
      samples: [der('voucher')],
      parse: async (input) => voucherSaid(await verifyVoucher(input, voucherOptions(NONCE))),
    },
    {
      ...signed,
      name: 'nonceless-voucher',
      covers: [],
      share: 1,
      samples: [der('noncelessVoucher')],
      parse: async (input) => voucherSaid(await verifyVoucher(input, voucherOptions(undefined))),
    },
    {
      ...common,
      name: 'voucher-content',
      covers: ['voucher#readVoucher'],
      share: 6,
      mutate: mutateJson,
      samples: [contentOf(der('voucher')), contentOf(der('noncelessVoucher'))],
      parse: (input) => voucherSaid(readVoucher(input)),
    },
    {
      ...signed,
      name: 'conveyed',
      covers: ['conveyed#verifyConveyed'],
      share: 2,
      samples: [der('conveyed'), der('signedRedirect')],
      parse: async (input) => {
        const trust = { ownerCertificate: der('ownerCertificate'), pinnedDomainCert: domain, atMs: NOW_MS };
        const { content, owner } = await verifyConveyed(input, trust);
        return `${Buffer.from(content).toString('base64')} ${owner === undefined ? '' : saidBy(owner)}`;
      },
    },
    {
      ...signed,
      name: 'owner-certificate',
      covers: [],
      share: 1,
      samples: [der('ownerCertificate')],
      parse: async (input) => {
        const trust = { ownerCertificate: input, pinnedDomainCert: domain, atMs: NOW_MS };
        const { content, owner } = await verifyConveyed(der('conveyed'), trust);
        return `${Buffer.from(content).toString('base64')} ${owner === undefined ? '' : saidBy(owner)}`;
      },
    },
    {
      ...signed,
      name: 'request',
      covers: ['request#parseRequest'],
      share: 8,
      samples: [der('request'), der('rsaRequest')],
      parse: (input) => JSON.stringify({ ...parseRequest(input), publicKey: '' }),
    },
    {
      ...common,
      name: 'revocation-lists',
      covers: ['crlVerify#readRevocationLists'],
      share: 3,
      samples: [der('revocations')],
      parse: (input) => saidOf(readRevocationLists(toPemBlock('X509 CRL', input))),
    },
    {
      ...signed,
      name: 'signed-revocation-list',
      covers: ['crlVerify#verifyRevocationList'],
      share: 3,
      samples: [der('revocations')],
      parse: (input) => saidOf([verifyRevocationList(input, [domain])]),
    },
    {
      ...jws,
      name: 'jws',
      covers: ['jws#verifyJws'],
      samples: [text(samples.jws)],
      parse: async (input) => {
        const options = { anchors: [domain], atMs: NOW_MS };
        const { payload, signer } = await verifyJws(Buffer.from(input).toString('utf8'), options);
        return `${Buffer.from(payload).toString('base64')} ${saidBy(signer)}`;
      },
    },
  ];
}
