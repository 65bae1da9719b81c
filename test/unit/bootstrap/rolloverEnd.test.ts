/**
 * An owner that drops the CA before, at the end of a rollover: a box drops it too where nothing of the box stands on it, and
 * one that was away enrols anew.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readOwnIdentity } from '../../../src/agent/ownIdentity.ts';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { anchorsOffered } from '../../../src/bootstrap/anchorDrop.ts';
import { type Credential, issueCertificate } from '../../../src/pki/issue.ts';
import { createTpmUse } from '../../../src/system/tpmUse.ts';
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
  withLastingServer,
} from './authorities.ts';
import { type Box, createBox, type LogLine } from './box.ts';
import { json, pkcs7, startController, type TestController } from './servers.ts';

const authorities = withLastingServer(createAuthorities());
const old = authorities.domain;
const next = authority('Test Domain CA, second');
const link = certified(next, old);
const profile = serverNamed(HOST);

let first: TestController;
/** The same owner's, with a certificate of the next CA. */
let second: TestController;
let box: Box;
beforeEach(async () => {
  first = await startController(authorities);
  const server = { ...issued(next, profile, LASTING), chain: [link] };
  second = await startController({ ...authorities, domain: next, server });
  box = await createBox(authorities, first.port);
  second.behaviour.cacerts = () => pkcs7([next.certificate, link, certified(old, next), old.certificate]);
  second.behaviour.issue = issueBy(next);
  await box.run({ controller: first, until: 'OPERATIONAL' });
});
afterEach(async () => {
  await first.close();
  await second.close();
  await box.remove();
});
const issueBy =
  (issuer: Credential): TestController['behaviour']['issue'] =>
  ({ publicKey }) =>
    issueCertificate({
      profile: { kind: 'ldevid', gatewayId: GATEWAY },
      publicKey,
      issuer,
      validity: { notBeforeMs: box.clock.nowMs() - 60_000, notAfterMs: box.clock.nowMs() + 90 * DAY_MS },
    });
/** Whom the box dials stands in its record; that server is the next one's now. */
const moved = (): TestController => ({
  ...first,
  connect: (options) => second.connect({ ...options, server: { ...options.server, port: second.port } }),
});
const dropped = (): void => {
  second.behaviour.cacerts = () => pkcs7([next.certificate, link]);
};
const anchors = async (): Promise<readonly string[]> => {
  const paths = { ...AGENT_PATHS, identity: box.paths.state };
  return ((await readOwnIdentity(box.files, paths, createTpmUse()))?.anchors ?? []).map(
    ({ subject }) => subject.commonName ?? '',
  );
};
const [OLD, NEXT] = [old, next].map(({ certificate }) => certificate.subject.commonName);
const says =
  (text: string) =>
  ({ message }: LogLine): boolean =>
    message.includes(text);
const DROPS = 'offers no more is dropped';

it('of the anchors stay those that are offered, and all where none is', () => {
  const both = [old.certificate, next.certificate];
  expect(anchorsOffered(both, [next.certificate, link])).toEqual([next.certificate]);
  expect(anchorsOffered(both, both)).toEqual(both);
  expect(anchorsOffered(both, [link])).toEqual(both);
});

it('is dropped by a box that renewed, and by no other', async () => {
  await box.run({ controller: moved(), until: 'RENEW' });
  await box.run({ controller: moved(), until: 'OPERATIONAL' });
  expect(await anchors()).toEqual([OLD, NEXT]);
  dropped();
  await box.run({ controller: moved(), until: says(DROPS) });
  expect(await anchors()).toEqual([NEXT]);
  // A server of the dropped CA is nobody from here on.
  await box.run({ controller: first, until: ({ fields }) => String(fields['problem']).includes('refuses') });
});

it('is kept where the servers of the owner do not stand by the rest alone', async () => {
  await box.run({ controller: moved(), until: 'RENEW' });
  await box.run({ controller: moved(), until: 'OPERATIONAL' });
  first.behaviour.cacerts = () => pkcs7([next.certificate, link]);
  await box.run({ controller: first, until: says('did not say how') });
  expect(await anchors()).toEqual([OLD, NEXT]);
});

it('is kept by a box whose own certificate is of it', async () => {
  first.behaviour.issue = issueBy(old);
  second.behaviour.issue = issueBy(old);
  await box.run({ controller: moved(), until: 'RENEW' });
  await box.run({ controller: moved(), until: 'OPERATIONAL' });
  dropped();
  const asked = second.asked.length;
  await box.run({ controller: moved(), until: 'RENEW' });
  expect(second.asked.slice(asked)).toContain('GET /.well-known/est/lab/cacerts');
  expect(await anchors()).toEqual([OLD, NEXT]);
});

it('a box that was away for all of it is told, enrols anew with its factory identity, and then drops it', async () => {
  expect(await anchors()).toEqual([OLD]);
  dropped();
  second.behaviour.ping = (peer) => {
    if (peer?.subject.commonName !== GATEWAY) return json({}, 401);
    if (peer.issuer.commonName === NEXT) return json({ ok: true });
    return {
      ...json({ standing: 'superseded', message: 'dropped' }, 403),
      headers: { 'content-type': 'application/json' },
    };
  };
  await box.run({ controller: moved(), until: 'RECOVER' });
  const before = second.enrolments.length;
  await box.run({ controller: moved(), until: 'OPERATIONAL' });
  expect(second.enrolments.slice(before)).toEqual([
    `simpleenroll by ${authorities.idevid.certificate.subject.commonName}`,
  ]);
  expect(await anchors()).toEqual([OLD, NEXT]);
  await box.run({ controller: moved(), until: says(DROPS) });
  expect(await anchors()).toEqual([NEXT]);
});
