/** From one domain CA to the next, by the signer over its real socket: begun, vouched for both ways, and signing. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createKeyFiles } from '../../../src/controller/keyholder/keyFiles.ts';
import { anchorsAfter } from '../../../src/bootstrap/rollover.ts';
import { beginRollover, signByNext } from '../../../src/controller/signer/rollover.ts';
import type { Certificate } from '../../../src/pki/certificate.ts';
import { validateChain } from '../../../src/pki/chain.ts';
import { verifyConveyed } from '../../../src/pki/conveyed.ts';
import { verifyJws } from '../../../src/pki/jws.ts';
import { toPemBlock } from '../../../src/pki/pem.ts';
import { createRequest } from '../../../src/pki/request.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { openssl, refusal } from '../pki/domain.ts';
import { csr, DESIRED, useSigner } from './signerWorld.ts';

const signer = useSigner();

it('offers the next domain CA once it was begun, vouched for both ways as openssl verifies, and begins it once', async () => {
  expect((await signer.client().anchors()).offered).toEqual([]);
  const begin = () => beginRollover({ files: createFiles(), clock: createClock(), directory: signer.state });
  const made = await begin();
  expect((await begin()).map(({ pem }) => pem)).toEqual(made.map(({ pem }) => pem));
  const { domain, offered } = await signer.client().anchors();
  expect(offered.map(({ pem }) => pem)).toEqual(made.map(({ pem }) => pem));
  const [next, newWithOld, oldWithNew] = offered;
  const after = await anchorsAfter({ anchors: [domain], offered, atMs: Date.now() });
  expect(after.map(({ pem }) => pem)).toEqual([domain.pem, next?.pem]);
  using tool = openssl();
  const [old, fresh] = [tool.write('old.pem', domain.pem), tool.write('new.pem', next?.pem ?? '')];
  const verify = (anchor: string, link: string | undefined) =>
    tool.run('verify', '-CAfile', anchor, tool.write('link.pem', link ?? ''));
  expect(verify(old, newWithOld?.pem)).toContain('OK');
  expect(verify(fresh, oldWithNew?.pem)).toContain('OK');
  // What is signed is signed by the present one.
  const { chain } = await signer.client().ldevid({ csr, gatewayId: 'branch1' });
  expect(chain.at(-1)?.pem).toBe(domain.pem);
});

describe('once the next domain CA signs', () => {
  let old: Certificate;
  let next: Certificate;
  let signing: string;
  let meanwhile: string;
  beforeAll(async () => {
    const state = { files: createFiles(), directory: signer.state };
    old = (await signer.client().anchors()).domain;
    const [made] = await beginRollover({ ...state, clock: createClock() });
    if (made === undefined) throw new Error('no rollover was begun');
    next = made;
    signing = (await signByNext(state)).pem;
    // From its next start on, and not in the midst of an answer.
    meanwhile = (await signer.client().anchors()).domain.pem;
    await signer.stop();
    await signer.start();
  });
  const now = () => Date.now();

  it('vouchers pin it, and the one before counts still', async () => {
    expect([signing, meanwhile]).toEqual([next.pem, old.pem]);
    const { domain, previous } = await signer.client().anchors();
    expect([domain.pem, previous.map(({ pem }) => pem)]).toEqual([next.pem, [old.pem]]);
  });

  it('what it certifies is trusted by who knows it, and by who knows the one before alone', async () => {
    const ldevid = await signer.client().ldevid({ csr, gatewayId: 'branch1' });
    const server = await signer.client().serverCertificate({ csr, dnsNames: ['controller.example'] });
    for (const { certificate, chain } of [ldevid, server]) {
      expect(chain.at(-1)?.pem).toBe(next.pem);
      // As a server shows it: the anchor is left out.
      const shown = { leaf: certificate, intermediates: chain.slice(0, -1), atMs: now() };
      expect((await validateChain({ ...shown, anchors: [next] })).length).toBe(2);
      expect((await validateChain({ ...shown, anchors: [old] })).at(-1)?.pem).toBe(old.pem);
      await expect(validateChain({ ...shown, intermediates: [], anchors: [old] })).rejects.toThrow(
        /no path leads/,
      );
    }
  });

  it('so are desired states and onboarding information', async () => {
    const jws = await signer.client().desired(DESIRED);
    for (const anchor of [next, old]) await verifyJws(jws, { anchors: [anchor], atMs: now() });
    const configuration = Buffer.from('{}').toString('base64');
    const { conveyed, ownerCertificate } = await signer.client().conveyed({
      'ietf-sztp-conveyed-info:onboarding-information': {
        'configuration-handling': 'replace',
        configuration,
      },
    });
    for (const pinnedDomainCert of [next, old]) {
      await verifyConveyed(conveyed, { ownerCertificate, pinnedDomainCert, atMs: now() });
    }
  });

  it('whoever comes new learns the one before, and whoever was away for all of it learns the next', async () => {
    const { domain, offered } = await signer.client().anchors();
    const all = [domain, ...offered];
    const learned = async (anchor: Certificate) =>
      (await anchorsAfter({ anchors: [anchor], offered: all, atMs: now() })).map(({ pem }) => pem);
    expect(await learned(next)).toEqual([next.pem, old.pem]);
    expect(await learned(old)).toEqual([old.pem, next.pem]);
  });

  it('each CA signs a list of its own, as openssl verifies', async () => {
    using tool = openssl();
    const revoked = [{ number: 'a1', revokedAtMs: now(), reason: 'certificateHold' as const }];
    const { der, others } = await signer.client().revocationList(revoked);
    const files = [next, old].map((ca, index) => tool.write(`ca${index}.pem`, ca.pem));
    const lists = [der, ...others].map((one, index) => {
      tool.write(`list${index}.pem`, toPemBlock('X509 CRL', one));
      return tool.judgeList(`list${index}.pem`, `ca${index}.pem`);
    });
    expect([files.length, lists]).toEqual([2, ['verify OK', 'verify OK']]);
  });

  it('neither CA has its own key certified', async () => {
    const keyFiles = createKeyFiles({ files: createFiles(), directory: signer.state });
    for (const name of ['domain-ca', 'domain-ca-next']) {
      const ca = await keyFiles.load(name);
      if (ca === undefined) throw new Error(`${name} is not there`);
      const request = createRequest({ key: ca.key });
      expect(await refusal(signer.client().ldevid({ csr: request, gatewayId: 'branch1' }))).toBe(
        'controller/refused',
      );
    }
  });

  it('and is lost, the signer does not start, and makes no other', async () => {
    await signer.stop();
    const at = (name: string): string => join(signer.state, name);
    await rename(at('domain-ca-next.pem'), at('aside'));
    expect(await refusal(signer.start())).toBe('system/file');
    await rename(at('aside'), at('domain-ca-next.pem'));
    await signer.start();
    expect((await signer.client().anchors()).domain.pem).toBe(next.pem);
  });
});

it('lets no next domain CA sign that was not begun', async () => {
  const nothing = { files: createFiles(), directory: join(signer.directory, 'nothing') };
  expect(await refusal(signByNext(nothing))).toBe('system/file');
});

it('begins no rollover where there is no domain CA', async () => {
  const options = {
    files: createFiles(),
    clock: createClock(),
    directory: join(signer.directory, 'nothing'),
  };
  expect(await refusal(beginRollover(options))).toBe('system/file');
});
