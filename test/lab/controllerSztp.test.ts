/** The bootstrap server as somebody else's clients see it: curl and openssl against the real manufacturer, signer and controller. */
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Owner } from '../../src/model/bootstrap.ts';
import {
  GetBootstrappingDataResponse,
  OnboardingInformation,
  RestconfErrors,
  SZTP_GET_PATH,
  SZTP_REPORT_PATH,
} from '../../src/model/sztp.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { type ControllerClients, startControllerClients } from './controllerClients.ts';
import type { ControllerWorld, CurlAnswer } from './controllerWorld.ts';

let world: ControllerWorld;
let box1: string;
let credential: ControllerClients['credential'];
let sztp: ControllerClients['sztp'];
beforeAll(async () => {
  ({ world, box1, credential, sztp } = await startControllerClients());
});
afterAll(() => world.remove());

function tagOf(answer: CurlAnswer): string {
  const errors = RestconfErrors.parse(JSON.parse(answer.body.toString('utf8')));
  return errors['ietf-restconf:errors'].error[0]?.['error-tag'] ?? '';
}

describe('the bootstrap server', () => {
  it('answers a known box with its owner, signed, and a voucher for its nonce', async () => {
    const nonce = Buffer.alloc(32, 7).toString('base64');
    const answer = await sztp(box1, SZTP_GET_PATH, {
      nonce,
      'hw-model': 'lab',
      'signed-data-preferred': [null],
    });
    expect(answer.headers.get('content-type')).toBe('application/yang-data+json');
    expect(answer.headers.has('content-length')).toBe(true);
    const output = GetBootstrappingDataResponse.parse(JSON.parse(answer.body.toString('utf8')));
    const artefacts = output['ietf-sztp-bootstrap-server:output'];
    const verified = async (name: keyof typeof artefacts, anchor: string): Promise<string> => {
      const der = world.at(`${name}.der`);
      await writeFile(der, Buffer.from(artefacts[name] ?? '', 'base64'));
      return world.openssl(
        'cms',
        '-verify',
        '-inform',
        'DER',
        '-in',
        der,
        '-CAfile',
        world.at(anchor),
        '-purpose',
        'any',
      );
    };
    const voucher = JSON.parse(await verified('ownership-voucher', 'anchors/voucher.pem'));
    expect(voucher['ietf-voucher:voucher']).toMatchObject({ 'serial-number': 'SN-one', nonce });
    const conveyed = JSON.parse(await verified('conveyed-information', 'anchors/domain.pem'));
    const { configuration } =
      OnboardingInformation.parse(conveyed)['ietf-sztp-conveyed-info:onboarding-information'];
    const owner = Owner.parse(JSON.parse(Buffer.from(configuration ?? '', 'base64').toString('utf8')));
    expect(owner).toMatchObject({ gatewayId: 'one', est: { host: 'localhost', port: world.ports.est } });
    const domain = parseCertificate(await readFile(world.at('anchors/domain.pem'), 'utf8'));
    expect(parseCertificate(owner.domainAnchorPem).fingerprintSha256).toBe(domain.fingerprintSha256);
  });

  it('takes a request without input, as RFC 8572 lets a client send', async () => {
    const words = [...credential(box1, 'idevid', 'tls'), '-X', 'POST'];
    const answer = await world.curl(...words, `https://localhost:${world.ports.sztp}${SZTP_GET_PATH}`);
    expect(answer.status).toBe(200);
  });

  it('refuses in the words of RESTCONF', async () => {
    const stranger = await world.newIdentity('SN-stranger');
    const placeless = await world.newIdentity('SN-placeless');
    const tries: [Promise<CurlAnswer>, number, string][] = [
      [sztp(box1, SZTP_GET_PATH, {}, 'none'), 401, 'access-denied'],
      [sztp(stranger, SZTP_GET_PATH, {}), 404, 'invalid-value'],
      [sztp(placeless, SZTP_GET_PATH, {}), 404, 'invalid-value'],
      [sztp(box1, SZTP_GET_PATH, '{'), 400, 'malformed-message'],
      [sztp(box1, SZTP_GET_PATH, { serial: 'SN-two' }), 400, 'unknown-element'],
      [sztp(box1, SZTP_REPORT_PATH, {}), 400, 'missing-element'],
      [sztp(box1, SZTP_GET_PATH, { nonce: 'AAAA' }), 400, 'invalid-value'],
      [sztp(box1, SZTP_GET_PATH, { 'hw-model': 'x'.repeat(70_000) }), 413, 'too-big'],
      [sztp(box1, '/restconf/data', {}), 405, 'operation-not-supported'],
      [sztp(box1, '/restconf/data/none', {}), 404, 'invalid-value'],
    ];
    for (const [answer, status, tag] of tries) {
      const got = await answer;
      expect([got.status, tagOf(got)]).toEqual([status, tag]);
    }
  });

  it('lets a box ask often and not without end, and no other box wait for it', async () => {
    const eager = await world.newIdentity('SN-four');
    const statuses: number[] = [];
    let answer = await sztp(eager, SZTP_GET_PATH, {});
    for (; answer.status === 200 && statuses.length < 60; answer = await sztp(eager, SZTP_GET_PATH, {})) {
      statuses.push(answer.status);
    }
    expect(statuses.length).toBeGreaterThanOrEqual(24);
    expect([answer.status, tagOf(answer)]).toEqual([429, 'resource-denied']);
    const retryAfterS = Number(answer.headers.get('retry-after'));
    expect(retryAfterS).toBeGreaterThan(0);
    expect(retryAfterS).toBeLessThanOrEqual(60);
    expect((await sztp(box1, SZTP_GET_PATH, {})).status).toBe(200);
  });

  it('writes down the progress of its own boxes', async () => {
    const report = { 'progress-type': 'bootstrap-initiated', message: 'hello' };
    expect((await sztp(box1, SZTP_REPORT_PATH, report)).status).toBe(204);
    expect(await world.api('/api/v1/inventory/SN-one')).toMatchObject({
      progress: { type: 'bootstrap-initiated', message: 'hello' },
    });
    const long = { 'progress-type': 'bootstrap-warning', message: 'x'.repeat(30_000) };
    expect((await sztp(box1, SZTP_REPORT_PATH, long)).status).toBe(204);
    expect(await world.api('/api/v1/inventory/SN-one')).toMatchObject({
      progress: { type: 'bootstrap-warning', message: 'x'.repeat(1024) },
    });
    const nonsense = await sztp(box1, SZTP_REPORT_PATH, { 'progress-type': 'nonsense' });
    expect([nonsense.status, tagOf(nonsense)]).toEqual([400, 'invalid-value']);
  });
});
