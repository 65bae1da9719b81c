/** Everything signed, held against a flipped bit anywhere in it. */
import { assert, asyncProperty, nat } from 'fast-check';
import { expect, it } from 'vitest';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { validateChain } from '../../src/pki/chain.ts';
import { verifySignedData } from '../../src/pki/cmsVerify.ts';
import { signData } from '../../src/pki/cms.ts';
import { signJws, verifyJws } from '../../src/pki/jws.ts';
import { OID } from '../../src/pki/oids.ts';
import { createRequest, parseRequest } from '../../src/pki/request.ts';
import { issue, makeCa, NOW_MS } from '../unit/pki/domain.ts';
import { BranchboxError } from '../../src/model/errors.ts';

const ca = makeCa();
const signer = issue(ca, { kind: 'configuration-signing', commonName: 'config' });
const anchors = [ca.certificate];
const RUNS = { numRuns: 150 };

function flipped(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  const at = (bit >> 3) % copy.length;
  copy[at] = (copy[at] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

/** undefined where refused; anything but our own error is a defect. */
async function outcome<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof BranchboxError && thrown.code.startsWith('pki/')) return undefined;
    throw thrown;
  }
}

const bits = nat({ max: 1 << 20 });

it('no flipped bit of a JWS verifies', async () => {
  const jws = Buffer.from(signJws(Buffer.from('{"generation":1}'), signer));
  const property = async (bit: number) => {
    const text = flipped(jws, bit).toString('latin1');
    expect(await outcome(() => verifyJws(text, { anchors, atMs: NOW_MS }))).toBeUndefined();
  };
  await assert(asyncProperty(bits, property), RUNS);
});

it('no flipped bit of a certificate validates', async () => {
  const property = async (bit: number) => {
    const validated = outcome(async () => {
      const leaf = parseCertificate(flipped(signer.certificate.der, bit));
      return validateChain({ leaf, intermediates: [], anchors, atMs: NOW_MS });
    });
    expect(await validated).toBeUndefined();
  };
  await assert(asyncProperty(bits, property), RUNS);
});

it('no flipped bit of a request is accepted', async () => {
  const request = createRequest({ key: signer.key, commonName: 'c' });
  const property = async (bit: number) => {
    expect(await outcome(async () => parseRequest(flipped(request, bit)))).toBeUndefined();
  };
  await assert(asyncProperty(bits, property), RUNS);
});

// Parts of CMS are signed by nobody (versions, the list of digests): a flip there may pass, but changes nothing.
it('a flipped bit of signed data never changes content or signer', async () => {
  const content = Buffer.from('content');
  const message = signData({ contentType: OID.voucherJson, content, signer });
  const options = { contentTypes: [OID.voucherJson], anchors, atMs: NOW_MS };
  const property = async (bit: number) => {
    const result = await outcome(() => verifySignedData(flipped(message, bit), options));
    if (result === undefined) return;
    expect(Buffer.from(result.content)).toEqual(content);
    expect(result.signer.fingerprintSha256).toBe(signer.certificate.fingerprintSha256);
  };
  await assert(asyncProperty(bits, property), RUNS);
});
