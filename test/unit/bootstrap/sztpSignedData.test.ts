/**
 * Signed data that a box must not believe: vouchers and onboarding information, each wrong in one way.
 */
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../src/model/errors.ts';
import { ownerCertificate, wrapConveyed } from '../../../src/pki/conveyed.ts';
import type { Credential } from '../../../src/pki/issue.ts';
import { createVoucher, type Voucher } from '../../../src/pki/voucher.ts';
import { authority, DAY_MS, issued, NOW_MS, SERIAL } from './authorities.ts';
import { conveyedBy, createFaultBench, ownerOf, refusalOfOwner } from './faultBench.ts';
import { type Behaviour, onboarding } from './servers.ts';

const bench = createFaultBench();
const refusal = () => refusalOfOwner(bench);
const owner = () => ownerOf(bench);
const sign = (...what: [content: Uint8Array, by?: Credential]) => conveyedBy(bench, ...what);
/** A voucher as the good one, but for what is said. */
const voucher = (
  nonce: Uint8Array | undefined,
  bent: Partial<Voucher> = {},
  by = bench.authorities.voucherSigner,
) =>
  createVoucher({
    voucher: {
      serialNumber: SERIAL,
      assertion: 'verified',
      createdOnMs: NOW_MS,
      expiresOnMs: undefined,
      nonce,
      idevidIssuer: bench.authorities.idevid.certificate.authorityKeyId,
      pinnedDomainCert: bench.authorities.domain.certificate,
      ...bent,
    },
    signer: by,
  });
const bend = (change: (nonce: Uint8Array) => Partial<ReturnType<Behaviour['artefacts']>>): void => {
  bench.controller.behaviour.artefacts = (nonce) => ({ ...bench.good.artefacts(nonce), ...change(nonce) });
};
const flipBit = (der: Uint8Array, at: number): Uint8Array => {
  const bytes = Uint8Array.from(der);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
};

describe('a voucher is refused', () => {
  const stranger = () =>
    issued(bench.authorities.stranger, { kind: 'voucher-signing', commonName: 'vouchers' });
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
    [
      'signed by the owner itself',
      'pki/untrusted',
      (nonce) => voucher(nonce, {}, bench.authorities.ownerSigner),
    ],
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
    const other = issued(bench.authorities.stranger, { kind: 'owner', commonName: 'owner' });
    bend(() => ({ conveyed: sign(onboarding(owner()), other), ownerCertificate: ownerCertificate(other) }));
    expect((await refusal()).code).toBe('pki/untrusted');
  });

  it('signed by another than the owner certificate beside it', async () => {
    const other = issued(bench.authorities.domain, { kind: 'owner', commonName: 'another' });
    bend(() => ({ conveyed: sign(onboarding(owner()), other) }));
    expect((await refusal()).code).toMatch(/^pki\//);
  });

  it('signed by a certificate that has ended', async () => {
    const ended = issued(
      bench.authorities.domain,
      { kind: 'owner', commonName: 'owner' },
      { notBeforeMs: NOW_MS - 9 * DAY_MS, notAfterMs: NOW_MS - DAY_MS },
    );
    bend(() => ({ conveyed: sign(onboarding(owner()), ended), ownerCertificate: ownerCertificate(ended) }));
    expect((await refusal()).code).toBe('pki/expired');
  });

  it('signed by a gateway of the same owner', async () => {
    const gateway = issued(bench.authorities.domain, { kind: 'ldevid', gatewayId: 'branch2' });
    bend(() => ({
      conveyed: sign(onboarding(owner()), gateway),
      ownerCertificate: ownerCertificate(gateway),
    }));
    expect((await refusal()).code).toBe('pki/untrusted');
  });

  it('with one bit flipped in its content', async () => {
    bend((nonce) => {
      const { conveyed } = bench.good.artefacts(nonce);
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
