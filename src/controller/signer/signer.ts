/**
 * Owns what the signer signs and what it refuses: certificates, desired states, conveyed information, revocation
 * lists, and what is revoked for good. Does not own its keys' life (keys.ts), lists' numbers (revocationLists.ts), nor how it is
 * reached (server.ts).
 */
import { z } from 'zod';
import { decode, decodeJson } from '../../model/decode.ts';
import { DESIRED_MAX_BYTES, DesiredState } from '../../model/desired.ts';
import { BranchboxError } from '../../model/errors.ts';
import { Order, ORDER_MAX_BYTES } from '../../model/mqtt.ts';
import { OnboardingInformation, RedirectInformation } from '../../model/sztp.ts';
import { fromBase64, toBase64 } from '../../pki/base64.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { ownerCertificate, signConveyed } from '../../pki/conveyed.ts';
import { issueCertificate, type Profile } from '../../pki/issue.ts';
import { signJws } from '../../pki/jws.ts';
import { sameKey } from '../../pki/keys.ts';
import { parseRequest } from '../../pki/request.ts';
import type { Clock, Logger } from '../../system/ports.ts';
import { json, type Reply, type Route } from '../keyholder/routes.ts';
import type { SignerKeys } from './keys.ts';
import { BACKDATE_MS, DAY_MS } from './lives.ts';
import {
  type AnchorsAnswer,
  type CertificateAnswer,
  ClientCertificateRequest,
  type ConveyedAnswer,
  ConveyedRequest,
  type DesiredAnswer,
  DesiredRequest,
  type DropAnswer,
  DropRequest,
  LdevidRequest,
  type OrderAnswer,
  OrderRequest,
  type RevocationListAnswer,
  RevocationListRequest,
  type RevokeAnswer,
  type RevokedForGoodAnswer,
  RevokeRequest,
  ServerCertificateRequest,
  serviceCommonName,
} from './messages.ts';
import type { RevocationLists } from './revocationLists.ts';
import type { RevokedForGood } from './revokedForGood.ts';

/** The controller renews its own certificates by itself; RFC 5280 sets no bound, CA/Browser Forum's is 398 days. */
const SERVICE_LIFE_MS = 397 * DAY_MS;
const SMALL_BODY_BYTES = 64 * 1024;
/** A desired state in base64, and the JSON around it. */
const DESIRED_BODY_BYTES = Math.ceil((DESIRED_MAX_BYTES * 4) / 3) + 1024;
const CONVEYED_BODY_BYTES = 768 * 1024;
/** 10,000 entries of about 110 bytes as JSON. */
const REVOCATIONS_BODY_BYTES = 2 * 1024 * 1024;

const ConveyedInformation = z.union([RedirectInformation, OnboardingInformation]);

export function signerRoutes(options: {
  readonly keys: SignerKeys;
  readonly revocationLists: RevocationLists;
  readonly revokedForGood: RevokedForGood;
  /** What a rollover that was begun offers to boxes. */
  readonly offered: () => Promise<readonly Certificate[]>;
  /** The domain CA that was dropped last. */
  readonly dropped: () => Promise<Certificate | undefined>;
  readonly clock: Clock;
  readonly log: Logger;
}): readonly Route[] {
  const { keys, revocationLists, revokedForGood, offered, dropped, clock, log } = options;

  const certify = (csr: string, profile: Profile, lifeMs: number): Reply => {
    const { publicKey } = parseRequest(fromBase64(csr));
    const { domainCa, previous, links } = keys;
    const cas = [domainCa, ...(previous === undefined ? [] : [previous])];
    if (cas.some(({ certificate }) => sameKey(publicKey, certificate.publicKey))) {
      throw new BranchboxError('controller/refused', { message: "The domain CA's own key is not certified" });
    }
    const nowMs = clock.nowMs();
    const notAfterMs = Math.min(nowMs + lifeMs, domainCa.certificate.notAfterMs);
    const validity = { notBeforeMs: nowMs - BACKDATE_MS, notAfterMs };
    const certificate = issueCertificate({ profile, publicKey, issuer: domainCa, validity });
    log.info('certificate issued', {
      profile: profile.kind,
      subject: certificate.subject.commonName,
      number: certificate.number,
      notAfter: new Date(notAfterMs).toISOString(),
    });
    const answer: z.input<typeof CertificateAnswer> = {
      certificate: certificate.pem,
      chain: [...links, domainCa.certificate].map(({ pem }) => pem),
    };
    return json(answer);
  };

  return [
    post('/ldevid', SMALL_BODY_BYTES, LdevidRequest, async ({ csr, gatewayId, validityDays }) =>
      certify(csr, { kind: 'ldevid', gatewayId }, validityDays * DAY_MS),
    ),
    post('/server-certificate', SMALL_BODY_BYTES, ServerCertificateRequest, async (request) => {
      const { csr, dnsNames, ipAddresses } = request;
      // RFC 5280's 64 characters of a common name; clients look at the alternative names alone (RFC 9525).
      const commonName = dnsNames.find((name) => name.length <= 64) ?? 'server';
      return certify(csr, { kind: 'server', commonName, dnsNames, ipAddresses }, SERVICE_LIFE_MS);
    }),
    post('/client-certificate', SMALL_BODY_BYTES, ClientCertificateRequest, async ({ csr, service }) =>
      certify(csr, { kind: 'client', commonName: serviceCommonName(service) }, SERVICE_LIFE_MS),
    ),
    post('/desired', DESIRED_BODY_BYTES, DesiredRequest, async (request) => {
      const payload = fromBase64(request.payload);
      // Nothing leaves here signed that a box would refuse: one decoder on both sides.
      const desired = decodeJson(DesiredState, textOf(payload), 'The desired state', DESIRED_MAX_BYTES);
      const jws = signJws(payload, await keys.configurationSigning());
      const { gatewayId, epoch, generation } = desired;
      log.info('desired state signed', { gatewayId, epoch, generation, sizeBytes: payload.length });
      const answer: z.input<typeof DesiredAnswer> = { jws };
      return json(answer);
    }),
    post('/order', SMALL_BODY_BYTES, OrderRequest, async (request) => {
      const payload = fromBase64(request.payload);
      const { order, gatewayId } = decodeJson(Order, textOf(payload), 'The order', ORDER_MAX_BYTES);
      const jws = signJws(payload, await keys.configurationSigning());
      log.info('order signed', { order, gatewayId });
      const answer: z.input<typeof OrderAnswer> = { jws };
      return json(answer);
    }),
    post('/conveyed', CONVEYED_BODY_BYTES, ConveyedRequest, async (request) => {
      const content = fromBase64(request.content);
      decodeJson(ConveyedInformation, textOf(content), 'The conveyed information');
      const owner = await keys.owner();
      const answer: z.input<typeof ConveyedAnswer> = {
        conveyed: toBase64(signConveyed({ content, format: 'json', owner })),
        ownerCertificate: toBase64(ownerCertificate({ ...owner, chain: [keys.domainCa.certificate] })),
      };
      return json(answer);
    }),
    post('/revocation-list', REVOCATIONS_BODY_BYTES, RevocationListRequest, async ({ revoked }) => {
      const { list, others } = await revocationLists.issue(revoked);
      const { der, number, nextUpdateMs } = list;
      log.info('revocation list signed', { number, entries: list.revoked.length });
      const answer: z.input<typeof RevocationListAnswer> = {
        der: toBase64(der),
        nextUpdateMs,
        others: others.map((other) => toBase64(other.der)),
      };
      return json(answer);
    }),
    post('/revoke', SMALL_BODY_BYTES, RevokeRequest, async ({ number, reason }) => {
      const ours = [
        ...[keys.domainCa, await keys.configurationSigning(), await keys.owner()].map(
          (one) => one.certificate,
        ),
        ...(keys.previous === undefined ? [] : [keys.previous.certificate]),
        ...keys.links,
      ];
      if (ours.some((certificate) => certificate.number === number)) {
        throw new BranchboxError('controller/refused', {
          message: `${number} is a certificate of the signer itself, and not of a server or service`,
          mend: 'where its key is known to others, begin with a new domain CA: branchbox signer rollover',
        });
      }
      const revoked = await revokedForGood.add(number, reason);
      log.warn('a certificate is revoked for good', revoked);
      const answer: z.input<typeof RevokeAnswer> = { revoked };
      return json(answer);
    }),
    {
      name: 'GET /revoked',
      maxBodyBytes: 0,
      answer: async () => {
        const answer: z.input<typeof RevokedForGoodAnswer> = { revoked: [...revokedForGood.all()] };
        return json(answer);
      },
    },
    post('/drop', SMALL_BODY_BYTES, DropRequest, async ({ fingerprintSha256 }) => {
      await keys.drop(fingerprintSha256);
      log.warn('the domain CA before is dropped, its key is removed', { fingerprintSha256 });
      const answer: z.input<typeof DropAnswer> = { dropped: fingerprintSha256 };
      return json(answer);
    }),
    {
      name: 'GET /anchors',
      maxBodyBytes: 0,
      answer: async () => {
        const last = await dropped();
        const answer: z.input<typeof AnchorsAnswer> = {
          domain: keys.domainCa.certificate.pem,
          configurationSigning: (await keys.configurationSigning()).certificate.pem,
          owner: (await keys.owner()).certificate.pem,
          offered: (await offered()).map(({ pem }) => pem),
          ...(keys.previous && { previous: keys.previous.certificate.pem }),
          ...(last && { dropped: last.pem }),
        };
        return json(answer);
      },
    },
  ];
}

function post<S extends z.ZodType>(
  path: string,
  maxBodyBytes: number,
  schema: S,
  answer: (request: z.output<S>) => Promise<Reply>,
): Route {
  return {
    name: `POST ${path}`,
    maxBodyBytes,
    answer: async (body) => answer(decode(schema, body, 'The request')),
  };
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new BranchboxError('model/invalid', { message: 'The content to be signed is not UTF-8', cause });
  }
}
