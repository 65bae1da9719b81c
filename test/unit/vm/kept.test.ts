import { describe, expect, it } from 'vitest';
import type { Credential } from '../../../src/pki/issue.ts';
import { asOfFactory, isRenewed, type Kept, lossesOf } from '../../vm/power/kept.ts';
import { DAY_MS, issue, makeCa, VALIDITY } from '../pki/domain.ts';

const domain = makeCa('Domain');
const anchors = [domain.certificate.pem];
const certify = (issuer: Credential, gatewayId = 'branch2', laterMs = 0): string =>
  issue(
    issuer,
    { kind: 'ldevid', gatewayId },
    { notBeforeMs: VALIDITY.notBeforeMs + laterMs, notAfterMs: VALIDITY.notAfterMs + laterMs },
  ).certificate.pem;

const before: Kept = {
  serial: 'SN-2',
  gatewayId: 'branch2',
  identity: { certificate: certify(domain), keySha256: 'aa' },
  committed: { epoch: 1, generation: 7 },
  files: { 'power-1': 'one', 'power-2': 'two' },
};
const losses = (after: Partial<Kept>): string =>
  lossesOf(before, { ...before, ...after }, anchors).join('; ');
const withCertificate = (certificate: string): Partial<Kept> => ({
  identity: { certificate, keySha256: 'bb' },
});

describe('what a box has lost with its power', () => {
  it('is nothing where all is as before, or newer', () => {
    expect(losses({})).toBe('');
    expect(losses({ committed: { epoch: 1, generation: 9 }, files: { ...before.files, more: 'x' } })).toBe(
      '',
    );
    expect(losses({ committed: { epoch: 2, generation: 1 } })).toBe('');
  });

  it('is a desired state older than the one that its controller was told of', () => {
    expect(losses({ committed: { epoch: 1, generation: 6 } })).toMatch(
      /had committed generation 7.* has generation 6/,
    );
    expect(losses({ committed: { epoch: 0, generation: 9 } })).toMatch(/of epoch 0/);
  });

  it('is a file of the volume, or what was in it', () => {
    expect(losses({ files: { 'power-1': 'one' } })).toBe("power-2 of the app's volume is gone");
    expect(losses({ files: { 'power-1': 'one', 'power-2': '' } })).toMatch(/held "two" and holds ""/);
  });

  it('is who it was', () => {
    expect(losses({ serial: 'SN-3' })).toMatch(/serial/);
    expect(losses({ gatewayId: 'branch3' })).toMatch(/gateway/);
    expect(losses({ identity: { ...before.identity, keySha256: 'bb' } })).toMatch(/key is another/);
  });

  it('is no certificate that was renewed: the same name, of the same CA, later', () => {
    const renewed = withCertificate(certify(domain, 'branch2', DAY_MS));
    expect(losses(renewed)).toBe('');
    expect(isRenewed(before, { ...before, ...renewed })).toBe(true);
    expect(isRenewed(before, before)).toBe(false);
    expect(losses(withCertificate(certify(makeCa('Domain'), 'branch2', DAY_MS)))).toMatch(/not of the CA/);
    expect(losses(withCertificate(certify(domain, 'branch3', DAY_MS)))).toMatch(/was for/);
    expect(losses(withCertificate(certify(domain, 'branch2', -DAY_MS)))).toMatch(/begins before/);
  });

  it('is of a disk as the factory made it the serial, the gateway and the generation alone', () => {
    const after = { ...before, ...withCertificate(certify(makeCa())), files: {} };
    expect(lossesOf(asOfFactory(before), after, anchors)).toEqual([]);
    const older = { ...after, serial: 'SN-3', committed: { epoch: 1, generation: 1 } };
    expect(lossesOf(asOfFactory(before), older, anchors)).toHaveLength(2);
  });
});
