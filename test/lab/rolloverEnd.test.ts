/**
 * The end of a CA rollover, with the real signer, controller and mosquitto: the CA before is dropped while one box renewed and
 * another was away. Its certificates are let in nowhere any more, nothing that is handed out stands on it, the box that
 * renewed drops it, and the one that was away comes back by its factory identity.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Certificate, parseCertificates } from '../../src/pki/certificate.ts';
import { ask, last, ownerOf, until, untilState } from './bootstrapObserve.ts';
import { ADDRESS, type BootstrapWorld, NAME, readText } from './bootstrapWorld.ts';
import { createRolloverWorld, type RolloverWorld } from './rolloverWorld.ts';

const [STAY, AWAY] = ['END-1', 'END-2'] as const;
let world: BootstrapWorld;
let rolling: RolloverWorld;
let first: Certificate;
let next: Certificate;

const at = (name: string): string => rolling.at(name);
const fleet = (...words: readonly string[]) => rolling.fleet(...words);
const partsOf = (serial: string) => rolling.partsOf(serial);
const anchorsOf = (box: string) => rolling.anchorsOf(box);

/** By the certificate that a box holds now. Status and body; everywhere the same server is believed. */
async function curl(box: string, url: string, ...words: readonly string[]): Promise<string> {
  const identity = ['--cert', join(box, 'identity/ldevid.crt'), '--key', join(box, 'identity/ldevid.key')];
  const believed = ['--cacert', at('anchors/domain.pem'), '--resolve', `*:8444:${ADDRESS.controller}`];
  const there = [...believed, '--resolve', `*:8446:${ADDRESS.controller}`];
  return world.inside('curl', '-sS', '-w', ' %{http_code}', ...identity, ...there, ...words, url);
}
const ping = (box: string) => curl(box, `https://${NAME}:8446/v1/ping`);
const reenrol = (box: string) =>
  curl(
    box,
    `https://${NAME}:8444/.well-known/est/simplereenroll`,
    '-H',
    'Content-Type: application/pkcs10',
    '--data-binary',
    `@${at('request.b64')}`,
  );
/** What an EST client of anybody's gets, opened by openssl: subject and issuer of each certificate. */
async function cacerts(): Promise<string> {
  const est = `https://${NAME}:8444/.well-known/est/cacerts`;
  const where = ['--cacert', at('anchors/domain.pem'), '--resolve', `*:8444:${ADDRESS.controller}`];
  await writeFile(at('cacerts.b64'), await world.inside('curl', '-sS', ...where, est));
  await world.inside('openssl', 'base64', '-d', '-A', '-in', at('cacerts.b64'), '-out', at('cacerts.p7'));
  const words = ['-inform', 'DER', '-in', at('cacerts.p7'), '-print_certs', '-noout'];
  return world.inside('openssl', 'pkcs7', ...words);
}
const lines = (text: string): readonly string[] =>
  text
    .split('\n')
    .map((line) => line.replaceAll(/\s*=\s*/g, '='))
    .filter((line) => line !== '');

beforeAll(async () => {
  rolling = await createRolloverWorld([STAY, AWAY]);
  ({ world, first } = rolling);
  await rolling.applySite('before');
  for (const serial of [STAY, AWAY]) await rolling.inService(serial);
  const away = partsOf(AWAY);
  await away.agent.said(/committed.*"before"/);
  await away.agent.end('SIGTERM');
  await away.identity.end('SIGTERM');
  const request = [
    '-new',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=x',
  ];
  await world.inside(
    'openssl',
    'req',
    ...request,
    '-keyout',
    at('k'),
    '-outform',
    'DER',
    '-out',
    at('request'),
  );
  await world.inside('openssl', 'base64', '-A', '-in', at('request'), '-out', at('request.b64'));
});
afterAll(() => world.remove());

it('until then both CAs count, and boxes that did not renew are named', async () => {
  await rolling.nextSigns();
  const stay = partsOf(STAY);
  await rolling.recover(stay);
  const [, learned] = await anchorsOf(stay.box);
  next = parseCertificates((await ownerOf(stay.box)).domainAnchorPem)[1] ?? first;
  expect(learned).toBe(next.fingerprintSha256);
  expect(next.fingerprintSha256).not.toBe(first.fingerprintSha256);
  expect(await fleet('domain-cas')).toContain(`before   ${first.fingerprintSha256}`);
  const refused = await fleet('drop-ca', first.fingerprintSha256).catch(String);
  expect(refused).toContain(`gateways/${AWAY.toLowerCase()}: ${AWAY} did not renew yet`);
  const away = partsOf(AWAY).box;
  expect(await ping(away)).toMatch(/200$/);
  // What curl is given here counts as renewed from now on; the box itself never gets it.
  expect(await reenrol(away)).toMatch(/200$/);
  expect(lines(await cacerts()).filter((line) => line.startsWith('subject'))).toHaveLength(4);
});

it('is dropped once, on every listener, and from what is handed out', async () => {
  const words = ['drop-ca', first.fingerprintSha256] as const;
  expect(await fleet(...words, '--dry-run')).toContain('would be dropped');
  expect((await fleet('domain-cas')).includes('before')).toBe(true);
  expect(await fleet(...words)).toContain('is dropped');
  expect(await fleet(...words)).toContain('is dropped');
  const away = partsOf(AWAY).box;
  expect(await ping(away)).toMatch(/"standing":"superseded".* 403$/);
  expect(await reenrol(away)).toMatch(/403$/);
  const told = lines(await cacerts());
  const [signs, before] = [next, first].map(({ subject }) => `CN=${subject.commonName ?? ''}`);
  // The CA that signs, and its key certified by the one before: for whoever knows that one alone.
  expect(told.filter((line) => line.startsWith('subject'))).toEqual([`subject=${signs}`, `subject=${signs}`]);
  expect(told.filter((line) => line.startsWith('issuer')).toSorted()).toEqual([
    `issuer=${before}`,
    `issuer=${signs}`,
  ]);
  const audit = await world.inside(
    'curl',
    '-sS',
    '--cacert',
    at('anchors/domain.pem'),
    '-H',
    `Authorization: Bearer ${(await readText(at('controller/admin.credential'))).trim()}`,
    `https://${ADDRESS.controller}:8445/api/v1/audit`,
  );
  for (const action of ['domain-ca-drop-begun', 'domain-ca-dropped']) {
    expect(audit.split(`"${action}"`)).toHaveLength(2);
  }
});

it('a box that renewed goes on, and drops it as soon as it asks', async () => {
  const { agent, box } = partsOf(STAY);
  await rolling.applySite('after');
  await agent.said(/committed.*"after"/);
  // As its agent does when the broker ended its session.
  await ask(box, 'POST', '/doubt');
  await until(box, async () => (await anchorsOf(box)).length === 1);
  expect(await anchorsOf(box)).toEqual([next.fingerprintSha256]);
});

it('a box that was away is refused by the broker, enrols anew, and then drops it too', async () => {
  const away = partsOf(AWAY);
  away.identity = world.start('test/lab/bootstrapBox.ts', away.box);
  away.agent = world.start('test/lab/moveAgent.ts', away.box, AWAY, '2');
  await away.agent.said(/cannot be reached.*unknown ca/i);
  await ask(away.box, 'POST', '/doubt');
  await untilState(away.box, (states) => states.includes('RECOVER') && last('OPERATIONAL')(states));
  await away.agent.said(/committed.*"after"/);
  expect(await anchorsOf(away.box)).toEqual([first.fingerprintSha256, next.fingerprintSha256]);
  await ask(away.box, 'POST', '/doubt');
  await until(away.box, async () => (await anchorsOf(away.box)).length === 1);
  expect(await ping(away.box)).toMatch(/200$/);
});

it('stays dropped over a restart of signer and controller', async () => {
  await rolling.restart();
  const told = await fleet('domain-cas');
  expect(told).toContain(`signs    ${next.fingerprintSha256}`);
  expect(told).toContain(`dropped  ${first.fingerprintSha256}`);
  expect(told).toContain('2 boxes are under');
});
