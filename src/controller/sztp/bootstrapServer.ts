/**
 * Owns the SZTP bootstrap server (RFC 8572): who asks, what is answered, how often.
 * Does not own signing (the signer) nor vouchers (the manufacturer): both are asked at that moment.
 */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { plainAddress } from '../../model/prefixes.ts';
import type { Owner } from '../../model/bootstrap.ts';
import {
  asRegistered,
  CLAIMS_WANTED,
  SZTP_GET_PATH,
  SZTP_MEDIA_TYPE,
  SZTP_REPORT_PATH,
} from '../../model/sztp.ts';
import { toBase64 } from '../../pki/base64.ts';
import type { Certificate } from '../../pki/certificate.ts';
import type { Clock } from '../../system/ports.ts';
import { type Admissions, PENDING_RETRY_AFTER_S } from '../admission.ts';
import { type AskLimit, createAskLimit } from '../askLimit.ts';
import { CERTIFICATE_CHALLENGE, type Handler, requestLine } from '../exchange.ts';
import type { ManufacturerClient } from '../manufacturer/client.ts';
import { createPeerOf, type PeerAnchors } from '../peer.ts';
import type { PendingBoxes } from '../pending.ts';
import { announcedBytes, readBody } from '../requestBody.ts';
import type { SignerClient } from '../signer/client.ts';
import type { Store } from '../store/store.ts';
import { createWorkGate, type WorkGate } from '../workGate.ts';
import { encoded, encodingAsked, ENCODINGS, NO_ENCODING, refusal, type YangAnswer } from './answers.ts';
import { discovered } from './discovery.ts';
import { onboardingOf } from './onboarding.ts';
import { type Input, readBootstrappingInput, readReportInput } from './rpcInput.ts';

/** Model, version and a nonce are a few hundred bytes; the last report of a box of others brings certificates of its host keys. */
const MAX_BODY_BYTES = 64 * 1024;
/** For a client that sends no nonce (RFC 8572 makes it optional): long enough for one bootstrap. */
const NONCELESS_LIFE_MS = 24 * 3_600_000;
/**
 * Of get-bootstrapping-data for one serial: a box that is started a dozen times in a minute and asks over two uplinks
 * is never refused, and one that asks for nothing else has 1,440 vouchers a day.
 */
const ASKS = { burst: 30, refillMs: 60_000 } as const;

/** The box is right to go on asking here. */
const UNTIL_APPROVED = { 'Retry-After': String(PENDING_RETRY_AFTER_S) } as const;

/** Of both operations: each is a chain, two signatures, a voucher and a line in the audit log. */
const WORK = { together: 4, waiting: 32 } as const;

export interface BootstrapServerOptions {
  readonly store: Store;
  readonly admissions: Admissions;
  readonly pending: Pick<PendingBoxes, 'meet' | 'claimed'>;
  readonly signer: SignerClient;
  readonly manufacturer: ManufacturerClient;
  readonly anchors: PeerAnchors;
  readonly ownerOf: (gatewayId: string) => Owner;
  readonly clock: Clock;
}

interface Asker {
  readonly serial: string;
  readonly idevid: Certificate;
  readonly address: string | undefined;
}

export function createBootstrapHandler(options: BootstrapServerOptions): Handler {
  const asks = createAskLimit({ clock: options.clock, ...ASKS });
  const gate = createWorkGate({ clock: options.clock, ...WORK });
  const peerOf = createPeerOf();
  return async (request, socket) => {
    const encoding = encodingAsked(request);
    const { method, path } = requestLine(request);
    const query = (request.url ?? '').split('?').slice(1).join('?');
    const found = discovered({ method, path, query, encoding });
    if (found !== undefined && 'body' in found) return found;
    return encoded(found ?? (await operation(request, socket, query)), encoding ?? SZTP_MEDIA_TYPE);
  };

  async function operation(request: IncomingMessage, socket: TLSSocket, query: string): Promise<YangAnswer> {
    const { method, path, mediaType } = requestLine(request);
    if (path !== SZTP_GET_PATH && path !== SZTP_REPORT_PATH) {
      return refusal(404, 'invalid-value', 'there is no such resource');
    }
    const allowed = { Allow: 'POST, OPTIONS' };
    // RFC 8040 4.1.
    if (method === 'OPTIONS') return { status: 204, headers: allowed };
    if (method !== 'POST') {
      const answer = refusal(405, 'operation-not-supported', 'operations are invoked by POST');
      return { ...answer, headers: allowed };
    }
    // RFC 8040 4.8.
    if (query !== '') return refusal(400, 'invalid-value', 'an operation has no query parameters');
    // RFC 8040 5.2.
    if (encodingAsked(request) === undefined) return NO_ENCODING;
    const input = await inputOf(request, mediaType);
    if ('status' in input) return input;
    const result = await gate.run(() => answerTo(path, socket, input));
    if ('done' in result) return result.done;
    const busy = refusal(503, 'resource-denied', 'many boxes ask at once', 'application');
    return { ...busy, headers: { 'Retry-After': String(result.retryAfterS) } };
  }

  async function answerTo(path: string, socket: TLSSocket, input: Input): Promise<YangAnswer> {
    const peer = await peerOf(socket, options.anchors, options.clock.nowMs());
    if (peer.kind === 'unusable') return refusal(403, 'access-denied', peer.why);
    if (peer.kind !== 'idevid') {
      const why = 'a factory identity (IDevID) of a manufacturer known here is needed as client certificate';
      // RFC 8040 2.5.
      return { ...refusal(401, 'access-denied', why), headers: CERTIFICATE_CHALLENGE };
    }
    const asker = {
      serial: peer.serial,
      idevid: peer.certificate,
      address: socket.remoteAddress === undefined ? undefined : plainAddress(socket.remoteAddress),
    };
    return path === SZTP_GET_PATH
      ? bootstrappingData(options, asks, gate, asker, input)
      : report(options, asker, input);
  }
}

async function bootstrappingData(
  options: BootstrapServerOptions,
  asks: AskLimit,
  gate: Pick<WorkGate, 'hasLine'>,
  asker: Asker,
  sent: Input,
): Promise<YangAnswer> {
  const { serial, idevid } = asker;
  const read = readBootstrappingInput(sent);
  if ('refused' in read) return read.refused;
  const { input } = read;
  const { nonce } = input;
  let admission = await options.admissions.consider(serial, idevid);
  if (admission.kind === 'unknown') {
    const met = await options.pending.meet({
      ...asker,
      model: input['hw-model'],
      claims: input['branchbox-sztp:claims'],
    });
    if (met.kind === 'denied') {
      return refusal(403, 'access-denied', 'an operator denied this box', 'application');
    }
    if (met.kind !== 'let-in') {
      const tag = met.wantsClaims ? CLAIMS_WANTED : undefined;
      const answer = refusal(404, 'invalid-value', met.why, 'application', tag);
      return met.kind === 'waiting' ? { ...answer, headers: UNTIL_APPROVED } : answer;
    }
    admission = await options.admissions.consider(serial, idevid);
  } else if (admission.kind === 'pending' && (await options.pending.claimed(serial, idevid))) {
    admission = await options.admissions.consider(serial, idevid);
  }
  if (admission.kind === 'refused') return refusal(403, 'access-denied', admission.why, 'application');
  // An unapproved box may learn whose it will be: EST then tells it to wait. Without a place there is nothing to tell.
  const gatewayId =
    admission.kind === 'admitted' ? admission.gateway.id : await options.admissions.placeOf(serial);
  if (gatewayId === undefined) {
    const why = `serial ${serial} has no place in the fleet yet`;
    return { ...refusal(404, 'invalid-value', why, 'application'), headers: UNTIL_APPROVED };
  }
  // Only now: somebody with another key under this serial must not use up what the box may ask.
  const waitMs = asks.take(serial);
  if (waitMs !== undefined) {
    const answer = refusal(429, 'resource-denied', `serial ${serial} asks too often`, 'application');
    return { ...answer, headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) } };
  }
  const [signed, voucher] = await Promise.all([
    options.signer.conveyed(onboardingOf(options.ownerOf(gatewayId))),
    options.manufacturer.requestVoucher({
      serialNumber: serial,
      ...(idevid.authorityKeyId === undefined ? {} : { idevidIssuer: idevid.authorityKeyId }),
      ...(nonce === undefined ? { expiresOnMs: options.clock.nowMs() + NONCELESS_LIFE_MS } : { nonce }),
      pinnedDomainCert: options.anchors.domain,
    }),
  ]);
  await options.store.records.audit({
    atMs: options.clock.nowMs(),
    actor: `serial:${serial}`,
    action: 'bootstrapping-data',
    subject: gatewayId,
    detail: nonce === undefined ? 'nonceless voucher' : '',
  });
  const output = {
    // Each report is a handshake: of a thousand boxes at once the beginning and the end are enough.
    'reporting-level': gate.hasLine() ? 'minimal' : 'verbose',
    'conveyed-information': toBase64(signed.conveyed),
    'owner-certificate': toBase64(signed.ownerCertificate),
    'ownership-voucher': toBase64(voucher),
  };
  return { status: 200, data: { 'ietf-sztp-bootstrap-server:output': output } };
}

async function report(
  options: BootstrapServerOptions,
  { serial, idevid }: Asker,
  sent: Input,
): Promise<YangAnswer> {
  const read = readReportInput(sent);
  if ('refused' in read) return read.refused;
  const { input } = read;
  const admission = await options.admissions.consider(serial, idevid);
  if (admission.kind === 'unknown' || admission.kind === 'refused') {
    return refusal(403, 'access-denied', `serial ${serial} is not one of ours`, 'application');
  }
  const atMs = options.clock.nowMs();
  await options.store.inventory.recordProgress(serial, input['progress-type'], input.message, atMs);
  return { status: 204 };
}

async function inputOf(request: IncomingMessage, mediaType: string): Promise<Input | YangAnswer> {
  const foreign = {
    ...refusal(415, 'operation-not-supported', `only ${ENCODINGS.join(' and ')} are understood`),
    headers: { Accept: ENCODINGS.join(', ') },
  };
  const encoding = ENCODINGS.find((one) => one === asRegistered(mediaType));
  const isForeign = encoding === undefined;
  if (isForeign && announcedBytes(request.headers) > 0) return foreign;
  const body = await readBody(request, MAX_BODY_BYTES);
  if (body === undefined) return refusal(413, 'too-big', `a request has at most ${MAX_BODY_BYTES} bytes`);
  // In chunks there may be none, and that has no media type.
  if (isForeign && body.length > 0) return foreign;
  return { text: body.toString('utf8'), encoding: encoding ?? SZTP_MEDIA_TYPE };
}
