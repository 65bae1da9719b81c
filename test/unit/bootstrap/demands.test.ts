/**
 * What signed onboarding information asks of a box beside its configuration, and onboarding information that is none of
 * ours: refused in words, kept nothing of, and reported to the owner's server (RFC 8572 7.3).
 */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openTrustedClock } from '../../../src/bootstrap/clockFloor.ts';
import { createDeviceKeys } from '../../../src/bootstrap/deviceKeys.ts';
import { readFactory } from '../../../src/bootstrap/factory.ts';
import { createHttps } from '../../../src/bootstrap/https.ts';
import { clockFloorPath } from '../../../src/bootstrap/paths.ts';
import { createSztpClient } from '../../../src/bootstrap/sztp.ts';
import { readTpmReadiness } from '../../../src/model/keyHolder.ts';
import { certsOnly, signData } from '../../../src/pki/cms.ts';
import { ownerCertificate, signConveyed, wrapConveyed } from '../../../src/pki/conveyed.ts';
import { OID } from '../../../src/pki/oids.ts';
import { serverNamed } from '../pki/domain.ts';
import { HOST, issued } from './authorities.ts';
import { conveyedBy, createFaultBench, failed, ownerOf } from './faultBench.ts';
import { type Artefacts, json, onboarding, redirect, startController, sztpReply } from './servers.ts';

const bench = createFaultBench();
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
/** Our own, with more in it; undefined takes a leaf away. */
const onboardingWith = (more: object): Uint8Array => onboarding(ownerOf(bench), more);
const verbose = (artefacts: Artefacts) => {
  const body: unknown = JSON.parse(sztpReply(artefacts).body ?? '');
  const output = (body as Record<string, object>)['ietf-sztp-bootstrap-server:output'];
  return json({ 'ietf-sztp-bootstrap-server:output': { ...output, 'reporting-level': 'verbose' } });
};

/** What the box does of it: where it comes to, or its first failure; and what it reported. */
async function bootstrapWith(conveyed: () => Uint8Array, wants: 'minimal' | 'verbose' = 'minimal') {
  const { controller, box, good } = bench;
  controller.reports.length = 0;
  controller.behaviour.sztp = (nonce) => {
    const artefacts = { ...good.artefacts(nonce), conveyed: conveyed() };
    return wants === 'verbose' ? verbose(artefacts) : sztpReply(artefacts);
  };
  return outcome(() => box.run({ controller, until: (line) => failed(line) || isOwned(line.fields) }));
}
const isOwned = (fields: { readonly [name: string]: unknown }): boolean => fields['state'] === 'OWNED';
async function outcome(run: () => Promise<unknown>) {
  await run();
  const line = bench.box.log.findLast(failed);
  const reports = bench.controller.reports.map((body) => {
    const input = JSON.parse(body)['ietf-sztp-bootstrap-server:input'] as Record<string, string>;
    return [input['progress-type'], input['message']];
  });
  return {
    end: line === undefined ? 'OWNED' : String(line.fields['code']),
    said: String(line?.fields['problem'] ?? ''),
    types: reports.map(([type]) => type),
    last: reports.at(-1)?.[1] ?? '',
  };
}

describe('onboarding information', () => {
  it.each([
    ['the name and version that run', { 'os-name': 'branchbox', 'os-version': '0.0.0-test' }],
    ['the name alone', { 'os-name': 'branchbox' }],
    ['no criterion and no file', {}],
    ['no criterion, and lists of none', { 'download-uri': [], 'image-verification': [] }],
    [
      'what runs, and where it was had',
      { 'os-version': '0.0.0-test', 'download-uri': ['https://example.com/image'] },
    ],
  ])('with a boot image is good where the box runs it: %s', async (_, image) => {
    expect(
      await bootstrapWith(() => conveyedBy(bench, onboardingWith({ 'boot-image': image }))),
    ).toMatchObject({
      end: 'OWNED',
    });
  });

  it.each([
    [
      'a boot image of another version',
      { 'boot-image': { 'os-name': 'branchbox', 'os-version': '2.0.0' } },
      'asks for the boot image branchbox 2.0.0, and this box runs branchbox 0.0.0-test',
      'boot-image-error',
    ],
    [
      'a boot image of another system, in letters that no terminal should see',
      { 'boot-image': { 'os-name': 'Vendor\u001B[2JOS' } },
      'asks for the boot image Vendor?[2JOS 0.0.0-test, and this box runs branchbox 0.0.0-test',
      'boot-image-error',
    ],
    [
      'a boot image by its address alone',
      { 'boot-image': { 'download-uri': ['https://example.com/image'] } },
      'names neither os-name nor os-version of it',
      'boot-image-error',
    ],
    [
      'a script before',
      { 'pre-configuration-script': 'AAAA' },
      'brings a pre-configuration-script, and a box runs no code but its image’s'.replace('’', "'"),
      'pre-script-error',
    ],
    [
      'a script after',
      { 'post-configuration-script': 'AAAA' },
      'brings a post-configuration-script',
      'post-script-error',
    ],
    [
      'no configuration',
      { configuration: undefined, 'configuration-handling': undefined },
      'has no configuration, which says who the owner is',
      'config-error',
    ],
    [
      'null where RFC 7951 has an object',
      { 'boot-image': null },
      'The onboarding information has 1 problem',
      'parsing-error',
    ],
    [
      'null where RFC 7951 has a string',
      { 'pre-configuration-script': null },
      'The onboarding information has 1 problem',
      'parsing-error',
    ],
    [
      'a configuration without its handling',
      { 'configuration-handling': undefined },
      'The onboarding information has 1 problem',
      'parsing-error',
    ],
    [
      'a configuration of somebody else’s devices',
      { configuration: Buffer.from('<top xmlns="https://example.com/config"/>').toString('base64') },
      'The onboarding configuration is not JSON',
      'config-error',
    ],
  ])('that asks for what a box does not do is refused and reported: %s', async (_, more, words, type) => {
    const seen = await bootstrapWith(() => conveyedBy(bench, onboardingWith(more)));
    expect(seen.said).toContain(words);
    expect(seen.types).toEqual(['bootstrap-initiated', type]);
    expect(seen.last).toContain(words);
  });

  it('that wants another boot image is told of the mismatch too, where the server wants all', async () => {
    const conveyed = () => conveyedBy(bench, onboardingWith({ 'boot-image': { 'os-version': '2' } }));
    expect((await bootstrapWith(conveyed, 'verbose')).types).toEqual([
      'bootstrap-initiated',
      'boot-image-mismatch',
      'boot-image-error',
    ]);
  });

  it('is reported once, however often the box asks', async () => {
    const { controller, box } = bench;
    const conveyed = () => conveyedBy(bench, onboardingWith({ 'pre-configuration-script': 'AAAA' }));
    let failures = 0;
    controller.reports.length = 0;
    controller.behaviour.sztp = (nonce) =>
      sztpReply({ ...bench.good.artefacts(nonce), conveyed: conveyed() });
    await box.run({ controller, until: (line) => failed(line) && (failures += 1) === 3 });
    expect(controller.reports).toHaveLength(2);
  });

  it('is nobody’s to hear of where the server does not prove to be the owner’s', async () => {
    const { authorities, box, good } = bench;
    const profile = serverNamed(HOST);
    const between = await startController({ ...authorities, server: issued(authorities.stranger, profile) });
    try {
      between.behaviour.sztp = (nonce) =>
        sztpReply({
          ...good.artefacts(nonce),
          conveyed: conveyedBy(bench, onboardingWith({ 'pre-configuration-script': 'AAAA' })),
        });
      const controller = {
        ...between,
        connect: (asked: Parameters<typeof between.connect>[0]) =>
          between.connect({ ...asked, server: { ...asked.server, port: between.port } }),
      };
      await box.run({ controller, until: failed });
      expect(box.log.findLast(failed)?.fields['problem']).toContain('pre-configuration-script');
      expect(between.reports).toEqual([]);
    } finally {
      await between.close();
    }
  });
});

it('is not reported by who asks for the time alone', async () => {
  const { box, controller, good } = bench;
  controller.reports.length = 0;
  controller.behaviour.sztp = (nonce) =>
    sztpReply({
      ...good.artefacts(nonce),
      conveyed: conveyedBy(bench, onboardingWith({ 'pre-configuration-script': 'AAAA' })),
    });
  const { clock, files, paths } = box;
  const keys = createDeviceKeys({ readiness: readTpmReadiness(undefined), tpm: undefined, log: silent });
  const client = (claims?: () => Promise<{ 'mac-address': string[] }>) =>
    readFactory(files, paths.factory, keys).then(async (factory) =>
      createSztpClient({
        https: createHttps({ connect: controller.connect, nowMs: () => clock.nowMs() }),
        factory,
        clock: await openTrustedClock({ files, clock, path: clockFloorPath(paths), builtAtMs: 0 }),
        randomBytes: (count) => randomBytes(count),
        os: { name: 'branchbox', version: '1' },
        ...(claims && { claims }),
      }),
    );
  const [uplink] = box.uplinks;
  if (uplink === undefined) throw new Error('the box has an uplink');
  const ask = async (by: Awaited<ReturnType<typeof client>>) =>
    by.onboard({ host: HOST, port: controller.port }, uplink, new AbortController().signal);
  await expect(ask(await client())).rejects.toMatchObject({ code: 'pki/mismatch' });
  expect(controller.reports).toEqual([]);
  await expect(ask(await client(async () => ({ 'mac-address': [] })))).rejects.toMatchObject({
    code: 'pki/mismatch',
  });
  expect(controller.reports).toHaveLength(2);
});

describe('conveyed information of type data', () => {
  it.each([
    ['JSON', () => onboarding(ownerOf(bench)), 'OWNED', ''],
    [
      'JSON, after a line',
      () => Buffer.concat([Buffer.from('\n '), onboarding(ownerOf(bench))]),
      'OWNED',
      '',
    ],
    [
      'XML of no namespace',
      () => Buffer.from('<onboarding-information/>'),
      'model/invalid',
      'The onboarding information has 1 problem',
    ],
    [
      'XML with a document type',
      () => Buffer.from('<!DOCTYPE a><onboarding-information/>'),
      'model/invalid',
      'The conveyed information is no XML that is read here',
    ],
    ['neither', () => Buffer.from('hello'), 'pki/malformed', 'neither JSON nor XML'],
  ])('is what it begins as (RFC 8572 3.1): %s', async (_, content, end, words) => {
    const seen = await bootstrapWith(() =>
      signData({ contentType: OID.data, content: content(), signer: bench.authorities.ownerSigner }),
    );
    expect(seen.end).toBe(end);
    expect(seen.said).toContain(words);
  });
});

describe('a server that a signed redirect vouched for', () => {
  const anchor = () => Buffer.from(certsOnly([bench.authorities.domain.certificate])).toString('base64');
  const self = () => ({ address: HOST, port: bench.controller.port });
  const signed = (content: Uint8Array, nonce: Uint8Array): Artefacts => ({
    ...bench.good.artefacts(nonce),
    conveyed: signConveyed({ content, format: 'json', owner: bench.authorities.ownerSigner }),
    ownerCertificate: ownerCertificate(bench.authorities.ownerSigner),
  });
  const bare = (content: Uint8Array): Artefacts => ({
    conveyed: wrapConveyed(content, 'json'),
    voucher: undefined,
    ownerCertificate: undefined,
  });

  it('is told that a box takes no owner without a voucher', async () => {
    const { controller, box } = bench;
    controller.reports.length = 0;
    let asked = 0;
    controller.behaviour.sztp = (nonce) => {
      asked += 1;
      const target = { ...self(), 'trust-anchor': anchor() };
      return sztpReply(asked === 1 ? signed(redirect([target]), nonce) : bare(onboarding(ownerOf(bench))));
    };
    const seen = await outcome(() => box.run({ controller, until: failed }));
    expect(seen).toEqual({
      end: 'pki/untrusted',
      said: 'The server sent onboarding information that nobody signed',
      types: ['bootstrap-initiated', 'parsing-error'],
      last: expect.stringContaining('nobody signed'),
    });
  });

  it('vouches for the next with a redirect that nobody signed: then that one must prove itself', async () => {
    const { controller, box, authorities } = bench;
    let asked = 0;
    const stranger = Buffer.from(certsOnly([authorities.stranger.certificate])).toString('base64');
    controller.behaviour.sztp = (nonce) => {
      asked += 1;
      if (asked === 1) return sztpReply(signed(redirect([{ ...self(), 'trust-anchor': anchor() }]), nonce));
      if (asked === 2) return sztpReply(bare(redirect([{ ...self(), 'trust-anchor': stranger }])));
      return bench.good.sztp(nonce);
    };
    await box.run({ controller, until: (line) => failed(line) || isOwned(line.fields) });
    expect(asked).toBe(2);
    expect(box.log.findLast(failed)?.fields['code']).toBe('pki/untrusted');
  });
});
