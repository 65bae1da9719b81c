/** The SZTP client, held against vouchers, onboarding information, redirects and answers that must be refused. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../src/model/errors.ts';
import { certsOnly } from '../../../src/pki/cms.ts';
import { ownerCertificate, signConveyed, wrapConveyed } from '../../../src/pki/conveyed.ts';
import type { Credential } from '../../../src/pki/issue.ts';
import { createVoucher, type Voucher } from '../../../src/pki/voucher.ts';
import {
  type Authorities,
  authority,
  createAuthorities,
  DAY_MS,
  HOST,
  issued,
  NOW_MS,
} from './authorities.ts';
import { type Box, createBox, type LogLine } from './box.ts';
import {
  type Behaviour,
  json,
  onboarding,
  redirect,
  startController,
  sztpReply,
  type TestController,
} from './servers.ts';
import { ownerRecord, SERIAL } from './authorities.ts';

let authorities: Authorities;
let controller: TestController;
let good: Behaviour;
let box: Box;

beforeAll(async () => {
  authorities = createAuthorities();
  controller = await startController(authorities);
  good = { ...controller.behaviour };
});
afterAll(() => controller.close());
beforeEach(async () => {
  Object.assign(controller.behaviour, good);
  box = await createBox(authorities, controller.port);
  return () => box.remove();
});

const failed = (line: LogLine): boolean => line.message === 'bootstrap step failed, trying again';

/** Runs until the first failure; its code, and proof that the box is no further for it. */
async function refusal(): Promise<{ code: string; text: string }> {
  await box.run({ controller, until: (line) => failed(line) || line.fields['state'] === 'OWNED' });
  const line = box.log.findLast(failed);
  if (line === undefined) throw new Error('the box took it');
  const journal = (await box.files.readText(`${box.paths.state}/journal.json`)) ?? '';
  expect(JSON.parse(journal).entries.at(-1).state).toBe('PROVISIONAL');
  const left = await box.files.list(box.paths.state);
  expect(left.filter((name) => name !== 'journal.json' && name !== 'clock-floor')).toEqual([]);
  // And what was wrong has not spoiled it: with good answers it goes on.
  Object.assign(controller.behaviour, good);
  await box.run({ controller, until: 'LDEVID' });
  return { code: String(line.fields['code']), text: JSON.stringify(line.fields) };
}

const owner = () => ownerRecord(authorities, controller.port);
const sign = (content: Uint8Array, by: Credential = authorities.ownerSigner) =>
  signConveyed({ content, format: 'json', owner: by });
/** A voucher as the good one, but for what is said. */
const voucher = (
  nonce: Uint8Array | undefined,
  bent: Partial<Voucher> = {},
  by = authorities.voucherSigner,
) =>
  createVoucher({
    voucher: {
      serialNumber: SERIAL,
      assertion: 'verified',
      createdOnMs: NOW_MS,
      expiresOnMs: undefined,
      nonce,
      idevidIssuer: authorities.idevid.certificate.authorityKeyId,
      pinnedDomainCert: authorities.domain.certificate,
      ...bent,
    },
    signer: by,
  });
const bend = (change: (nonce: Uint8Array) => Partial<ReturnType<Behaviour['artefacts']>>): void => {
  controller.behaviour.artefacts = (nonce) => ({ ...good.artefacts(nonce), ...change(nonce) });
};
const flipBit = (der: Uint8Array, at: number): Uint8Array => {
  const bytes = Uint8Array.from(der);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
};

describe('a voucher is refused', () => {
  const stranger = () => issued(authorities.stranger, { kind: 'voucher-signing', commonName: 'vouchers' });
  const cases: readonly (readonly [string, ErrorCode, (nonce: Uint8Array) => Uint8Array])[] = [
    ['for another serial', 'pki/mismatch', (nonce) => voucher(nonce, { serialNumber: 'BBX-0002' })],
    ['replayed, with the nonce of another day', 'pki/mismatch', () => voucher(new Uint8Array(32).fill(7))],
    [
      'nonceless, where one was asked with a nonce',
      'pki/mismatch',
      () => voucher(undefined, { expiresOnMs: NOW_MS + DAY_MS }),
    ],
    [
      'nonceless and expired',
      'pki/mismatch',
      () => voucher(undefined, { createdOnMs: NOW_MS - 200 * DAY_MS, expiresOnMs: NOW_MS - 100 * DAY_MS }),
    ],
    ['signed by somebody else', 'pki/untrusted', (nonce) => voucher(nonce, {}, stranger())],
    ['signed by the owner itself', 'pki/untrusted', (nonce) => voucher(nonce, {}, authorities.ownerSigner)],
    [
      'for a box of another manufacturer',
      'pki/mismatch',
      (nonce) => voucher(nonce, { idevidIssuer: new Uint8Array(20).fill(1) }),
    ],
    [
      'with one bit flipped in its signature',
      'pki/untrusted',
      (nonce) => {
        const der = voucher(nonce);
        return flipBit(der, der.length - 3);
      },
    ],
    ['that is no CMS', 'pki/malformed', () => Buffer.from('voucher')],
    ['that is cut short', 'pki/malformed', (nonce) => voucher(nonce).subarray(0, 500)],
    [
      'that is the conveyed information instead (wrong content type)',
      'pki/mismatch',
      () => sign(onboarding(owner())),
    ],
  ];
  it.each(cases)('%s: %s', async (_what, code, make) => {
    bend((nonce) => ({ voucher: make(nonce) }));
    expect((await refusal()).code).toBe(code);
  });
});

describe('onboarding information is refused', () => {
  it('that nobody signed', async () => {
    bend(() => ({
      conveyed: wrapConveyed(onboarding(owner()), 'json'),
      voucher: undefined,
      ownerCertificate: undefined,
    }));
    expect((await refusal()).code).toBe('pki/untrusted');
  });

  it.each(['voucher', 'ownerCertificate'] as const)('without its %s', async (missing) => {
    bend(() => ({ [missing]: undefined }));
    expect((await refusal()).code).toBe('pki/malformed');
  });

  it('signed by one whom the pinned CA did not name', async () => {
    const other = issued(authorities.stranger, { kind: 'owner', commonName: 'owner' });
    bend(() => ({ conveyed: sign(onboarding(owner()), other), ownerCertificate: ownerCertificate(other) }));
    expect((await refusal()).code).toBe('pki/untrusted');
  });

  it('signed by another than the owner certificate beside it', async () => {
    const other = issued(authorities.domain, { kind: 'owner', commonName: 'another' });
    bend(() => ({ conveyed: sign(onboarding(owner()), other) }));
    expect((await refusal()).code).toMatch(/^pki\//);
  });

  it('signed by a certificate that has ended', async () => {
    const ended = issued(
      authorities.domain,
      { kind: 'owner', commonName: 'owner' },
      { notBeforeMs: NOW_MS - 9 * DAY_MS, notAfterMs: NOW_MS - DAY_MS },
    );
    bend(() => ({ conveyed: sign(onboarding(owner()), ended), ownerCertificate: ownerCertificate(ended) }));
    expect((await refusal()).code).toBe('pki/expired');
  });

  it('signed by a gateway of the same owner', async () => {
    const gateway = issued(authorities.domain, { kind: 'ldevid', gatewayId: 'branch2' });
    bend(() => ({
      conveyed: sign(onboarding(owner()), gateway),
      ownerCertificate: ownerCertificate(gateway),
    }));
    expect((await refusal()).code).toBe('pki/untrusted');
  });

  it('with one bit flipped in its content', async () => {
    bend((nonce) => {
      const { conveyed } = good.artefacts(nonce);
      return { conveyed: flipBit(conveyed, Buffer.from(conveyed).indexOf('replace')) };
    });
    expect((await refusal()).code).toBe('pki/untrusted');
  });

  it('that names another domain CA than the voucher pinned', async () => {
    const domainAnchorPem = authority('Another Domain').certificate.pem;
    bend(() => ({ conveyed: sign(onboarding({ ...owner(), domainAnchorPem })) }));
    expect((await refusal()).code).toBe('pki/mismatch');
  });

  it('that does not fit its schema, with every problem named by its path', async () => {
    bend(() => ({
      conveyed: sign(onboarding({ ...owner(), gatewayId: 'Not A Name', mqtt: { host: '', port: 0 } })),
    }));
    const { code, text } = await refusal();
    expect(code).toBe('model/invalid');
    for (const path of ['$.gatewayId', '$.mqtt.host', '$.mqtt.port']) expect(text).toContain(path);
  });
});

describe('an answer is refused', () => {
  const html = '<html>Welcome to our hotel</html>';
  it.each([
    ['200 with a page (captive portal)', { headers: { 'content-type': 'text/html' }, body: html }],
    ['302 (captive portal)', { status: 302, headers: { location: 'http://login.example/' } }],
    ['401', { status: 401 }],
    ['404', { status: 404 }],
    ['500', { status: 500, body: html }],
    ['that is larger than any artefacts', { ...json({}), body: ' '.repeat(600 * 1024) }],
  ])('%s', async (_what, reply) => {
    controller.behaviour.sztp = () => reply;
    expect((await refusal()).code).toBe('bootstrap/refused');
  });

  it('that is not JSON, though it says so', async () => {
    controller.behaviour.sztp = () => ({ ...json({}), body: '{' });
    expect((await refusal()).code).toBe('model/invalid');
  });

  it('whose artefacts are no base64, with its path', async () => {
    controller.behaviour.sztp = () =>
      json({ 'ietf-sztp-bootstrap-server:output': { 'conveyed-information': '!!!!' } });
    const { code, text } = await refusal();
    expect(code).toBe('model/invalid');
    expect(text).toContain('conveyed-information');
  });

  it('and shows what the server says, in printable characters', async () => {
    const error = {
      'error-type': 'application',
      'error-tag': 'access-denied',
      'error-message': 'unknown\u001b[2J',
    };
    controller.behaviour.sztp = () => json({ 'ietf-restconf:errors': { error: [error] } }, 403);
    const { code, text } = await refusal();
    expect(code).toBe('bootstrap/refused');
    expect(text).toContain('unknown?[2J');
  });

  it('by a server that hangs up', async () => {
    const { connect } = controller;
    const cut: TestController = {
      ...controller,
      connect: async (options) => {
        const socket = await connect(options);
        socket.destroy();
        return socket;
      },
    };
    await box.run({ controller: cut, until: failed });
    expect(box.log.findLast(failed)?.fields['code']).toBe('bootstrap/unreachable');
  });
});

describe('redirects', () => {
  const toSelf = () => ({ address: HOST, port: controller.port });

  it('are followed when bare and unsigned, to a server whose signed data then counts', async () => {
    let first = true;
    controller.behaviour.sztp = (nonce) => {
      if (!first) return good.sztp(nonce);
      first = false;
      return sztpReply({
        conveyed: wrapConveyed(redirect([toSelf()]), 'json'),
        voucher: undefined,
        ownerCertificate: undefined,
      });
    };
    await box.run({ controller, until: (line) => failed(line) || line.fields['state'] === 'OWNED' });
    expect(box.log.filter(failed)).toEqual([]);
  });

  it('are given up after ten', async () => {
    let asked = 0;
    controller.behaviour.sztp = () => {
      asked += 1;
      return sztpReply({
        conveyed: wrapConveyed(redirect([toSelf()]), 'json'),
        voucher: undefined,
        ownerCertificate: undefined,
      });
    };
    const { code, text } = await refusal();
    expect(code).toBe('bootstrap/refused');
    expect(text).toContain('more than 10 redirects');
    expect(asked).toBe(11);
  });

  it.each([
    ['its own', true],
    ['another', false],
  ])('hold the server to the anchor that a signed one names: %s', async (_whose, isOwn) => {
    const anchor = isOwn ? authorities.domain : authorities.stranger;
    const target = {
      ...toSelf(),
      'trust-anchor': Buffer.from(certsOnly([anchor.certificate])).toString('base64'),
    };
    let first = true;
    controller.behaviour.sztp = (nonce) => {
      if (!first) return good.sztp(nonce);
      first = false;
      return sztpReply({ ...good.artefacts(nonce), conveyed: sign(redirect([target])) });
    };
    await box.run({ controller, until: (line) => failed(line) || line.fields['state'] === 'OWNED' });
    expect(box.log.findLast(failed)?.fields['code']).toBe(isOwn ? undefined : 'pki/untrusted');
  });

  it('do not make an anchor count that nobody signed', async () => {
    const target = {
      ...toSelf(),
      'trust-anchor': Buffer.from(certsOnly([authorities.stranger.certificate])).toString('base64'),
    };
    let first = true;
    controller.behaviour.sztp = (nonce) => {
      if (!first) return good.sztp(nonce);
      first = false;
      return sztpReply({
        conveyed: wrapConveyed(redirect([target]), 'json'),
        voucher: undefined,
        ownerCertificate: undefined,
      });
    };
    await box.run({ controller, until: (line) => failed(line) || line.fields['state'] === 'OWNED' });
    expect(box.log.filter(failed)).toEqual([]);
  });
});

describe('a server that is busy', () => {
  it.each([
    ['503', '120', 120_000],
    ['429', new Date(NOW_MS + 300_000).toUTCString(), 300_000],
  ])('with %s is left alone as long as it asks', async (status, header, askedMs) => {
    const moments: number[] = [];
    controller.behaviour.sztp = (nonce) => {
      moments.push(box.clock.monotonicMs());
      if (moments.length > 1) return good.sztp(nonce);
      return { status: Number(status), headers: { 'retry-after': header } };
    };
    await box.run({ controller, until: 'OWNED' });
    expect((moments[1] ?? 0) - (moments[0] ?? 0)).toBeGreaterThanOrEqual(askedMs);
  });

  it('does not hold up another one', async () => {
    const moments: number[] = [];
    const [uplink] = box.uplinks;
    if (uplink === undefined) throw new Error('no uplink');
    box.uplinks = [uplink, { ...uplink, ifname: 'wan2' }];
    controller.behaviour.sztp = (nonce) => {
      moments.push(box.clock.monotonicMs());
      return moments.length > 1 ? good.sztp(nonce) : { status: 503, headers: { 'retry-after': '3600' } };
    };
    await box.run({ controller, until: 'OWNED' });
    expect(moments[1]).toBe(moments[0]);
  });
});

describe('two uplinks of which one works', () => {
  it('are both tried', async () => {
    const [uplink] = box.uplinks;
    if (uplink === undefined) throw new Error('no uplink');
    box.uplinks = [{ ...uplink, ifname: 'dark' }, uplink];
    const { connect } = controller;
    const half: TestController = {
      ...controller,
      connect: (options) =>
        options.uplink.ifname === 'dark' ? Promise.reject(new Error('no route')) : connect(options),
    };
    expect(await box.run({ controller: half, until: 'OPERATIONAL' })).toBe(true);
  });
});
