/**
 * An owner that changes its domain CA: the box takes the next one by the signature of the one it has, and by nothing
 * less; both count in the overlap, for the agent too.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readOwnIdentity } from '../../../src/agent/ownIdentity.ts';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { anchorsAfter } from '../../../src/bootstrap/rollover.ts';
import type { Certificate } from '../../../src/pki/certificate.ts';
import { type Credential, issueCertificate, selfSignedCa } from '../../../src/pki/issue.ts';
import { createTpmUse } from '../../../src/system/tpmUse.ts';
import { generateKeyPair } from '../../../src/pki/keys.ts';
import { serverNamed } from '../pki/domain.ts';
import {
  authority,
  certified,
  createAuthorities,
  DAY_MS,
  GATEWAY,
  HOST,
  issued,
  LASTING,
  NOW_MS,
  withLastingServer,
} from './authorities.ts';
import { type Box, createBox } from './box.ts';
import { pkcs7, startController, type TestController } from './servers.ts';

const authorities = withLastingServer(createAuthorities());
const old = authorities.domain;
const next = authority('Test Domain CA, second');

const after = async (offered: readonly Certificate[], anchors = [old.certificate]) =>
  (await anchorsAfter({ anchors, offered, atMs: NOW_MS })).map(({ fingerprintSha256 }) => fingerprintSha256);
const prints = (...all: readonly Credential[]) => all.map(({ certificate }) => certificate.fingerprintSha256);

describe('the next CA', () => {
  it('is taken once the present one certified its key, whatever the order', async () => {
    const link = certified(next, old);
    const back = certified(old, next);
    expect(await after([old.certificate, next.certificate, link, back])).toEqual(prints(old, next));
    expect(await after([link, back, next.certificate])).toEqual(prints(old, next));
  });

  it('may have the same name: a new key alone is a new CA', async () => {
    const { privateKey } = generateKeyPair();
    const commonName = old.certificate.subject.commonName ?? '';
    const certificate = selfSignedCa({ commonName, key: privateKey, validity: LASTING });
    const same: Credential = { key: privateKey, certificate, chain: [] };
    expect(await after([certificate, certified(same, old)])).toEqual(prints(old, same));
  });

  /** Of one owner, by its name; each with a limit of its path. */
  const limited = (pathLength: number, commonName = 'Flat CA'): Credential => {
    const { privateKey } = generateKeyPair();
    const certificate = selfSignedCa({ commonName, key: privateKey, validity: LASTING, pathLength });
    return { key: privateKey, certificate, chain: [] };
  };
  it.each([
    [0, 0],
    [0, 1],
    [2, 2],
  ])('of a root with a path length of %i is taken where its link allows %i', async (length, allowed) => {
    const [before, following] = [limited(length), limited(length)];
    const link = certified(following, before, LASTING, { pathLength: allowed });
    expect(await after([following.certificate, link], [before.certificate])).toEqual(
      prints(before, following),
    );
    const plain = certified(following, before);
    expect(await after([following.certificate, plain], [before.certificate])).toEqual(
      prints(before, following),
    );
  });

  it('is not taken for more than its link allows, nor with a limit under another name', async () => {
    const before = limited(0);
    for (const following of [limited(1), authority('Flat CA'), limited(0, 'CA below it')]) {
      const link = certified(following, before, LASTING, { pathLength: 0 });
      expect(await after([following.certificate, link], [before.certificate])).toEqual(prints(before));
    }
  });

  const stranger = authority('Somebody');
  const past = { notBeforeMs: NOW_MS - 3 * DAY_MS, notAfterMs: NOW_MS - DAY_MS };
  it.each<[string, readonly Certificate[]]>([
    ['nobody certified', [next.certificate]],
    [
      'only its holder and a stranger certified',
      [next.certificate, certified(next, stranger), stranger.certificate],
    ],
    [
      'a stranger certified who is offered with it',
      [next.certificate, certified(next, stranger), stranger.certificate, certified(stranger, next)],
    ],
    ['was certified until yesterday', [next.certificate, certified(next, old, past)]],
    [
      'was certified under another name',
      [next.certificate, certified(next, old, LASTING, { commonName: 'Other' })],
    ],
    ['is a CA below the present one', [next.certificate, certified(next, old, LASTING, { pathLength: 0 })]],
    ['is certified and not offered itself', [certified(next, old)]],
    ['is no CA', [issued(old, { kind: 'ldevid', gatewayId: GATEWAY }).certificate]],
  ])('that %s is not taken', async (_what, offered) => {
    expect(await after(offered)).toEqual(prints(old));
  });

  it.each<[string, Partial<Certificate>]>([
    ['its names', { nameConstraintsDer: Uint8Array.from([0x30, 0]) }],
    ['its policies', { policyExtensions: new Map([['2.5.29.36', Uint8Array.from([0x30, 0])]]) }],
  ])('that has a limit on %s is a CA below the present one, unless it bears its name', async (_, limit) => {
    expect(await after([next.certificate, { ...certified(next, old), ...limit }])).toEqual(prints(old));
    const [before, same] = [authority('Flat CA'), authority('Flat CA')];
    const link = { ...certified(same, before), ...limit };
    expect(await after([same.certificate, link], [before.certificate])).toEqual(prints(before, same));
  });

  it('of a next one is not taken in the same answer, and never more than four', async () => {
    const third = authority('Test Domain CA, third');
    const chain = [next.certificate, certified(next, old), third.certificate, certified(third, next)];
    expect(await after(chain)).toEqual(prints(old, next));
    const many = Array.from({ length: 6 }, (_, index) => authority(`Test Domain CA ${index}`));
    const all = many.flatMap((one) => [one.certificate, certified(one, old)]);
    expect(await after(all)).toHaveLength(4);
  });
});

describe('a box in service', () => {
  let controller: TestController;
  let box: Box;
  beforeEach(async () => {
    controller = await startController(authorities);
    box = await createBox(authorities, controller.port);
    await box.run({ controller, until: 'RENEW' });
  });
  afterEach(async () => {
    await controller.close();
    await box.remove();
  });
  const identity = () =>
    readOwnIdentity(box.files, { ...AGENT_PATHS, identity: box.paths.state }, createTpmUse());
  const issueBy = (issuer: Credential): void => {
    controller.behaviour.issue = (request) =>
      issueCertificate({
        profile: { kind: 'ldevid', gatewayId: GATEWAY },
        publicKey: request.publicKey,
        issuer,
        validity: { notBeforeMs: box.clock.nowMs() - 60_000, notAfterMs: box.clock.nowMs() + 90 * DAY_MS },
      });
  };
  const overlap = (): void => {
    controller.behaviour.cacerts = () => pkcs7([old.certificate, next.certificate, certified(next, old)]);
    issueBy(next);
  };

  it('renews under the next CA, trusts both, and goes on with servers of the next one', async () => {
    overlap();
    await box.run({ controller, until: 'OPERATIONAL' });
    const own = await identity();
    expect(own?.anchors.map(({ fingerprintSha256 }) => fingerprintSha256)).toEqual(prints(old, next));
    expect(await box.files.readText(`${box.paths.state}/domain-anchor.pem`)).toBe(own?.anchorPem);

    const profile = serverNamed(HOST);
    const server = issued(next, profile, LASTING);
    const moved = await startController({ ...authorities, domain: next, server });
    const connect: TestController['connect'] = (options) =>
      moved.connect({ ...options, server: { ...options.server, port: moved.port } });
    moved.behaviour.ping = () => ({
      status: 403,
      headers: { 'content-type': 'application/json' },
      body: '{"standing":"quarantined","message":"told by a server of the next CA"}',
    });
    await box.run({ controller: { ...controller, connect }, until: 'QUARANTINED' });
    await moved.close();
  });

  it('takes no certificate of a CA that the present one does not vouch for, and keeps its own', async () => {
    const before = await box.files.readText(`${box.paths.state}/ldevid.crt`);
    controller.behaviour.cacerts = () => pkcs7([old.certificate, next.certificate]);
    issueBy(next);
    await box.run({ controller, until: (line) => line.fields['code'] === 'pki/untrusted' });
    expect(await box.files.readText(`${box.paths.state}/ldevid.crt`)).toBe(before);
    expect((await identity())?.anchors).toHaveLength(1);
  });

  it('killed at any write, ends with a pair of the next CA and both anchors', async () => {
    overlap();
    const at = (name: string): string => `${box.paths.state}/${name}`;
    const saved = new Map<string, string>();
    for (const name of await box.files.list(box.paths.state)) {
      saved.set(name, (await box.files.readText(at(name))) ?? '');
    }
    for (let dieAt = 0, survived = false; !survived; dieAt += 1) {
      for (const name of await box.files.list(box.paths.state)) await box.files.remove(at(name));
      for (const [name, text] of saved) await box.files.writeDurable(at(name), text);
      survived = await box.run({ controller, until: 'OPERATIONAL', dieAt });
      if (!survived) await box.run({ controller, until: 'OPERATIONAL' });
      const own = await identity();
      expect(own?.anchors, `death ${dieAt}`).toHaveLength(2);
      expect(own?.certificatePem).not.toBe(saved.get('ldevid.crt'));
      expect(dieAt).toBeLessThan(100);
    }
  }, 60_000);
});
