/**
 * Owns the parsers of what reaches a box: bootstrap servers, EST, DHCP, its own disk after a power cut, desired states,
 * orders, firmware, the installer's browser.
 */
import { acceptOrder } from '../../src/agent/orders.ts';
import { createActivation } from '../../src/bootstrap/activation.ts';
import { z } from 'zod';
import { judgeAnswer } from '../../src/bootstrap/captivePortal.ts';
import { discover, parseServer } from '../../src/bootstrap/discover.ts';
import { createEstClient } from '../../src/bootstrap/est.ts';
import { readJournal } from '../../src/bootstrap/journal.ts';
import { judge, judgeMedium } from '../../src/bootstrap/onboarding.ts';
import { parseRetryAfter } from '../../src/bootstrap/retry.ts';
import { Owner } from '../../src/model/bootstrap.ts';
import { decodeJson, tryDecode } from '../../src/model/decode.ts';
import { DesiredState } from '../../src/model/desired.ts';
import { ActivationLinkId, ActivationOffer, plainCode } from '../../src/model/installer.ts';
import { Command, MESSAGE_MAX_BYTES } from '../../src/model/mqtt.ts';
import { Secret } from '../../src/model/secret.ts';
import { GetBootstrappingDataResponse, RestconfErrors } from '../../src/model/sztp.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { wrapConveyed } from '../../src/pki/conveyed.ts';
import { parseLease } from '../../src/system/leases.ts';
import { parseEntryName } from '../../src/update/entries.ts';
import { verifyManifest } from '../../src/update/manifest.ts';
import { readRootHash } from '../../src/update/uki.ts';
import { readRequest } from '../../src/web/installer/requests.ts';
import { GATEWAY, HOST, NOW_MS, SERIAL } from '../unit/bootstrap/authorities.ts';
import { redirect } from '../unit/bootstrap/servers.ts';
import { NONCE, WIREGUARD_KEY } from './makeSamples.ts';
import { mutateBase64 } from './mutateBase64.ts';
import { mutateBytes } from './mutateBytes.ts';
import { mutateJson } from './mutateJson.ts';
import { mutateJws } from './mutateJws.ts';
import { mutateText } from './mutateText.ts';
import type { FuzzParser } from './parser.ts';
import {
  desiredStates,
  JOURNAL,
  json,
  LEASE,
  ownerSample,
  RESTCONF_ERRORS,
  type Samples,
  text,
  ukiSample,
} from './samples.ts';

const utf8 = (input: Uint8Array): string => Buffer.from(input).toString('utf8');
const OWN = '172.31.254.1';
const Base64File = z.base64().transform((content) => Buffer.from(content, 'base64'));
/** As the three files of a stick are read, in one input. */
const MediumFiles = z.strictObject({
  conveyed: Base64File,
  ownerCertificate: Base64File,
  voucher: Base64File,
});

export function boxParsers(samples: Samples): readonly FuzzParser[] {
  const certificate = (name: keyof Samples) => parseCertificate(Buffer.from(samples[name], 'base64'));
  const domain = certificate('domain');
  const context = {
    factory: { serial: SERIAL, idevid: certificate('idevid'), voucherAnchors: [certificate('manufacturer')] },
    nonce: NONCE,
    clock: {
      floorMs: () => NOW_MS,
      nowMs: () => NOW_MS,
      latestStartMs: (startMs: number) => startMs,
      raise: () => Promise.resolve(),
      witness: () => Promise.resolve(),
    },
  };
  /** What a box would do for it: become somebody's, or ask somewhere that was vouched for; a bare redirect is nobody's. */
  const judged = async (output: Parameters<typeof judge>[0]): Promise<string> => {
    const verdict = await judge(output, context);
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
  const est = createEstClient({
    https: async (exchange) => ({
      status: 200,
      contentType: 'application/pkcs7-mime',
      body: Buffer.from(exchange.basic?.reveal() ?? '', 'latin1'),
      retryAfterMs: undefined,
      asksForBasic: false,
    }),
    est: { host: HOST, port: 8443 },
    peer: { anchorsPem: '', judge: () => Promise.resolve() },
  });
  const uplink = { ifname: 'wan1', address: '192.0.2.2', dns: [], bootstrapServers: [] };
  const unsigned = { isSigned: false, refusals: ['pki/', 'model/invalid', 'bootstrap/refused'] } as const;
  const signed = { ...unsigned, isSigned: true } as const;
  const asJson = { ...unsigned, mutate: mutateJson } as const;
  const asText = { ...unsigned, mutate: mutateText } as const;

  return [
    {
      ...signed,
      name: 'sztp-answer',
      maxBytes: 512 * 1024,
      covers: ['onboarding#judge'],
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
      ...asText,
      name: 'portal-answer',
      maxBytes: 8 * 1024,
      covers: ['captivePortal#judgeAnswer'],
      share: 6,
      samples: [
        text('HTTP/1.1 302 Found\r\nLocation: http://login.example/?from=%20\r\n\r\n'),
        text('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n'),
      ],
      parse: (input) => judgeAnswer(utf8(input), { host: HOST, port: 443 }, uplink)?.message,
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
      ...unsigned,
      name: 'est-answer',
      maxBytes: 128 * 1024,
      covers: [],
      share: 6,
      mutate: mutateBase64,
      samples: [samples.certsOnly, samples.ownerCertificate].map(text),
      parse: async (input) => {
        const code = new Secret(Buffer.from(input).toString('latin1'));
        const request = new Uint8Array(1);
        const identity = { key: new Secret(''), certificatePem: '' };
        const { signal } = new AbortController();
        const asked = { operation: 'simpleenroll', request, uplink, identity, code, signal } as const;
        return String((await est.enrol(asked)).length);
      },
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
      name: 'enrolment-words',
      covers: [],
      share: 6,
      samples: [text('The code is wrong. 4 tries are left.\n')],
      parse: (input) => {
        const activation = createActivation({ onOffer: () => {} });
        activation.refused(utf8(input));
        const message = activation.state()?.message ?? '';
        if (message.length > 200 || /[\p{Cc}\n]/u.test(message))
          throw new Error('words that are not cleaned');
        return message;
      },
    },
    {
      ...asText,
      name: 'retry-after',
      maxBytes: 16 * 1024,
      covers: ['retry#parseRetryAfter'],
      share: 12,
      samples: ['120', new Date(NOW_MS + 60_000).toUTCString()].map(text),
      parse: (input) => {
        const waitMs = parseRetryAfter(utf8(input), NOW_MS);
        if (waitMs !== undefined && !(waitMs >= 1_000 && waitMs <= 3_600_000))
          throw new Error(`waits ${waitMs} ms`);
        return waitMs === undefined ? undefined : String(waitMs);
      },
    },
    {
      ...asText,
      name: 'server-uri',
      maxBytes: 2048,
      covers: ['discover#parseServer'],
      share: 12,
      samples: ['https://bootstrap.example:8443/', 'https://[2001:db8::1]:443', 'https://192.0.2.1'].map(
        text,
      ),
      parse: (input) => {
        const server = parseServer(utf8(input));
        if (typeof server === 'string') return undefined;
        const isPort = Number.isInteger(server.port) && server.port >= 0 && server.port <= 65_535;
        if (!isPort || /[\s/@]/.test(server.host)) throw new Error(`asks ${JSON.stringify(server)}`);
        return server.host;
      },
    },
    {
      ...asText,
      name: 'dhcp-lease',
      maxBytes: 64 * 1024,
      covers: ['leases#parseLease'],
      share: 12,
      samples: [LEASE],
      parse: (input) => {
        const lease = parseLease('wan1', utf8(input));
        if (lease === undefined) return undefined;
        return String(discover([{ ...uplink, ...lease }], []).candidates.length);
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
    {
      ...asJson,
      name: 'desired-state',
      covers: [],
      share: 2,
      samples: desiredStates(),
      parse: (input) => {
        const decoded = tryDecode(DesiredState, parsed(input));
        return decoded.ok ? String(decoded.value.generation) : undefined;
      },
    },
    {
      ...asJson,
      name: 'command',
      covers: [],
      share: 4,
      samples: [json({ kind: 'proof', nonce: 'n' }), json({ kind: 'events-stored', ids: ['a', 'b'] })],
      parse: (input) => decodeJson(Command, utf8(input), 'a command', MESSAGE_MAX_BYTES.cmd).kind,
    },
    {
      ...signed,
      name: 'order',
      covers: [],
      share: 2,
      mutate: mutateJws,
      samples: [text(samples.order)],
      parse: async (input) => {
        const own = {
          anchors: [domain],
          gatewayId: GATEWAY,
          wireguardPublicKey: WIREGUARD_KEY,
          atMs: NOW_MS,
        };
        return JSON.stringify(await acceptOrder(utf8(input), own));
      },
    },
    {
      ...signed,
      refusals: ['firmware/refused'],
      name: 'firmware-manifest',
      covers: [],
      share: 2,
      mutate: mutateJws,
      samples: [text(samples.manifest)],
      parse: async (input) =>
        JSON.stringify(await verifyManifest(utf8(input), { anchors: [domain], arch: 'x86-64' })),
    },
    {
      ...unsigned,
      name: 'kernel-image',
      covers: [],
      share: 10,
      mutate: mutateBytes,
      samples: [ukiSample()],
      parse: (input) => readRootHash(async (at, length) => input.subarray(at, at + length)),
    },
    {
      ...asText,
      name: 'boot-entry',
      covers: [],
      share: 3,
      samples: ['branchbox_1.2.3+2-1.efi', 'branchbox_0.2.0~rc1.efi'].map(text),
      parse: (input) => parseEntryName(utf8(input))?.version,
    },
    {
      ...asText,
      name: 'installer-request',
      maxBytes: 16 * 1024,
      covers: [],
      share: 10,
      samples: [
        text(`GET\n/activate?link=${'A'.repeat(22)}\n${OWN}\n`),
        text(`POST\n/activate\nbranchbox.internal\nhttp://branchbox.internal`),
      ],
      parse: (input) => {
        const [method = '', target = '', host, origin] = utf8(input).split('\n');
        const head = { method, target, host, origin, fetchSite: undefined };
        const asked = readRequest({ ...head, contentType: 'application/x-www-form-urlencoded' }, OWN);
        return asked.kind;
      },
    },
    {
      ...asText,
      name: 'installer-form',
      maxBytes: 16 * 1024,
      covers: [],
      share: 6,
      samples: [text(`token=abc&code=ABCD-2345&link=${'A'.repeat(22)}`)],
      parse: (input) => {
        const sent = new URLSearchParams(utf8(input));
        const link = ActivationLinkId.safeParse(sent.get('link')).data;
        const offer = ActivationOffer.safeParse({
          code: plainCode(sent.get('code') ?? ''),
          ...(link && { link }),
        });
        return offer.success ? offer.data.code : undefined;
      },
    },
  ];
}

function parsed(input: Uint8Array): unknown {
  try {
    return JSON.parse(utf8(input));
  } catch {
    return undefined;
  }
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
