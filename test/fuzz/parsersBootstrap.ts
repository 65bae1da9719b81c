/**
 * Owns the parsers of what a box reads on its way to its owner: answers of bootstrap servers, a medium, and its own disk
 * after a power cut. Does not own what an enrolment server says (parsersEst.ts), what any network says (parsersNetwork.ts),
 * nor those of a box that has its owner (parsersBox.ts).
 */
import { z } from 'zod';
import { readJournal } from '../../src/bootstrap/journal.ts';
import { judge, judgeMedium, judgeNextOwner } from '../../src/bootstrap/onboarding.ts';
import { Owner } from '../../src/model/bootstrap.ts';
import { decodeJson } from '../../src/model/decode.ts';
import { GetBootstrappingDataResponse, RestconfErrors, SZTP_XML_MEDIA_TYPE } from '../../src/model/sztp.ts';
import { decodeBody } from '../../src/bootstrap/yangBodies.ts';
import { parseXml } from '../../src/model/xml.ts';
import { xmlOfYang } from '../../src/model/yangXml.ts';
import { parseHostMeta } from '../../src/bootstrap/restconfRoot.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { wrapConveyed } from '../../src/pki/conveyed.ts';
import { recipientOf } from '../../src/pki/keyEncryption.ts';
import { generateKeyPair } from '../../src/pki/keys.ts';
import { NOW_MS, SERIAL } from '../unit/bootstrap/authorities.ts';
import { redirect } from '../unit/bootstrap/servers.ts';
import { NONCE } from './makeSamples.ts';
import { mutateJson } from './mutateJson.ts';
import { mutateText } from './mutateText.ts';
import type { FuzzParser } from './parser.ts';
import {
  JOURNAL,
  json,
  ownerSample,
  REDIRECT_XML,
  RESTCONF_ERRORS,
  type Samples,
  SZTP_REQUEST_XML,
  text,
  utf8,
} from './samples.ts';

const Base64File = z.base64().transform((content) => Buffer.from(content, 'base64'));
/** As the three files of a stick are read, in one input. */
const MediumFiles = z.strictObject({
  conveyed: Base64File,
  ownerCertificate: Base64File,
  voucher: Base64File,
});

const NextOwnerFiles = MediumFiles.omit({ voucher: true });

export function bootstrapParsers(samples: Samples): readonly FuzzParser[] {
  const certificate = (name: keyof Samples) => parseCertificate(Buffer.from(samples[name], 'base64'));
  const context = {
    factory: {
      serial: SERIAL,
      idevid: certificate('idevid'),
      // Of somebody else: what is encrypted is among the parsers of src/pki.
      key: recipientOf(generateKeyPair().privateKey),
      voucherAnchors: [certificate('manufacturer')],
    },
    nonce: NONCE,
    os: { name: 'branchbox', version: '1' },
    clock: {
      floorMs: () => NOW_MS,
      nowMs: () => NOW_MS,
      basis: () => 'system' as const,
      latestStartMs: (startMs: number) => startMs,
      raise: () => Promise.resolve(),
      notBefore: <T>(_momentMs: number, work: () => Promise<T>) => work(),
      learn: async () => {},
    },
  };
  /** What a box would do for it: become somebody's, or ask somewhere that was vouched for; a bare redirect is nobody's. */
  const judged = async (output: Parameters<typeof judge>[0]): Promise<string> => {
    const verdict = await judge(output, context);
    if (verdict.kind === 'refused') throw verdict.why;
    if (verdict.kind === 'owner') return JSON.stringify(verdict.owner);
    const vouched = verdict.targets.filter(({ anchors }) => anchors !== undefined);
    return vouched.map(({ server, anchors }) => JSON.stringify([server, anchors?.length])).join();
  };
  const artefacts = (conveyed: string) => ({
    'ietf-sztp-bootstrap-server:output': {
      'conveyed-information': conveyed,
      'owner-certificate': samples.ownerCertificate,
      'ownership-voucher': samples.voucher,
    },
  });
  const owner = ownerSample(samples);
  const unsigned = { isSigned: false, refusals: ['pki/', 'model/invalid', 'bootstrap/refused'] } as const;
  const signed = { ...unsigned, isSigned: true } as const;
  const asJson = { ...unsigned, mutate: mutateJson } as const;
  const asText = { ...unsigned, mutate: mutateText } as const;

  return [
    {
      ...signed,
      name: 'sztp-answer',
      maxBytes: 512 * 1024,
      covers: ['onboarding#judge', 'conveyedInformation#readInformation'],
      share: 3,
      mutate: mutateJson,
      samples: [
        json(artefacts(samples.conveyed)),
        json(artefacts(samples.signedRedirect)),
        json({ 'ietf-sztp-bootstrap-server:output': { 'conveyed-information': samples.bareRedirect } }),
      ],
      parse: async (input) => {
        const answer = decodeJson(GetBootstrappingDataResponse, utf8(input), 'The answer');
        return judged(answer['ietf-sztp-bootstrap-server:output']);
      },
    },
    {
      ...signed,
      name: 'usb-medium',
      maxBytes: 512 * 1024,
      covers: ['onboarding#judgeMedium'],
      share: 3,
      mutate: mutateJson,
      samples: [
        json({
          conveyed: samples.conveyed,
          ownerCertificate: samples.ownerCertificate,
          voucher: samples.noncelessVoucher,
        }),
      ],
      parse: async (input) => {
        const files = decodeJson(MediumFiles, utf8(input), 'The medium');
        const { owner, network } = await judgeMedium(files, context);
        return JSON.stringify([owner, network]);
      },
    },
    {
      ...signed,
      name: 'next-owner',
      maxBytes: 512 * 1024,
      covers: ['onboarding#judgeNextOwner'],
      share: 2,
      mutate: mutateJson,
      samples: [json({ conveyed: samples.conveyed, ownerCertificate: samples.ownerCertificate })],
      parse: async (input) => {
        const artefacts = decodeJson(NextOwnerFiles, utf8(input), 'The artefacts');
        return JSON.stringify(await judgeNextOwner(artefacts, certificate('domain'), NOW_MS, context.os));
      },
    },
    {
      ...asJson,
      name: 'redirect-information',
      maxBytes: 256 * 1024,
      covers: [],
      share: 6,
      samples: [
        redirect([
          { address: 'a.example' },
          { address: '2001:db8::1', port: 8443, 'trust-anchor': samples.certsOnly },
        ]),
      ],
      parse: (input) =>
        judged({ 'conveyed-information': Buffer.from(wrapConveyed(input, 'json')).toString('base64') }),
    },
    {
      ...asText,
      name: 'redirect-xml',
      maxBytes: 128 * 1024,
      covers: [],
      share: 4,
      samples: [REDIRECT_XML],
      parse: (input) =>
        judged({ 'conveyed-information': Buffer.from(wrapConveyed(input, 'xml')).toString('base64') }),
    },
    {
      ...asText,
      name: 'xml',
      maxBytes: 512 * 1024,
      covers: ['xml#parseXml'],
      share: 6,
      samples: [REDIRECT_XML, SZTP_REQUEST_XML],
      parse: (input) => {
        const { namespace, name, children } = parseXml(utf8(input), 'The document', 512 * 1024);
        return `${namespace} ${name} ${children.length}`;
      },
    },
    {
      ...asJson,
      name: 'owner-record',
      maxBytes: 128 * 1024,
      covers: [],
      share: 6,
      samples: [json(owner)],
      parse: (input) =>
        parseCertificate(decodeJson(Owner, utf8(input), 'The owner record').domainAnchorPem)
          .fingerprintSha256,
    },
    {
      ...asText,
      name: 'host-meta',
      maxBytes: 16 * 1024,
      covers: ['restconfRoot#parseHostMeta'],
      share: 2,
      samples: [
        text(
          '<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0"><Link rel="restconf" href="/restconf"/></XRD>',
        ),
        text("<x:XRD><x:Link href='/api/' rel='restconf'></x:Link><x:Link rel='lrdd' href='/x'/></x:XRD>"),
      ],
      parse: (input) => parseHostMeta(utf8(input)) ?? '',
    },
    {
      ...asJson,
      name: 'restconf-errors',
      maxBytes: 512 * 1024,
      covers: [],
      share: 4,
      samples: [RESTCONF_ERRORS],
      parse: (input) =>
        String(decodeJson(RestconfErrors, utf8(input), 'errors')['ietf-restconf:errors'].error.length),
    },
    {
      ...asText,
      name: 'restconf-errors-xml',
      maxBytes: 512 * 1024,
      covers: ['yangBodies#decodeBody'],
      share: 3,
      samples: [text(xmlOfYang(JSON.parse(utf8(RESTCONF_ERRORS)) as Record<string, unknown>))],
      parse: (input) => {
        const answer = {
          status: 403,
          contentType: SZTP_XML_MEDIA_TYPE,
          body: input,
          retryAfterMs: undefined,
          asksForBasic: false,
        };
        return String(decodeBody(RestconfErrors, answer, 'errors')['ietf-restconf:errors'].error.length);
      },
    },
    {
      ...asJson,
      refusals: ['bootstrap/journal'],
      name: 'journal',
      maxBytes: 512 * 1024,
      covers: ['journal#readJournal'],
      share: 4,
      samples: [JOURNAL],
      parse: async (input) => {
        const files: Parameters<typeof readJournal>[0] = { ...NO_FILES, readText: async () => utf8(input) };
        return String((await readJournal(files, 'journal.json'))?.entries.length);
      },
    },
  ];
}

const none = (): Promise<never> => Promise.reject(new Error('no file is touched here'));
const NO_FILES = {
  readText: none,
  readBytes: none,
  writeDurable: none,
  writeKernel: none,
  remove: none,
  list: none,
  watch: () => {},
};
