/**
 * The second half of a CA rollover, with the real signer, controller and mosquitto: the next domain CA signs, and a box that
 * knows the one before alone, one that comes new, and one that renews go on side by side; both CAs' certificates are revoked.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Certificate, parseCertificate, parseCertificates } from '../../src/pki/certificate.ts';
import { readText } from './bootstrapWorld.ts';
import { createRolloverWorld, type RolloverWorld } from './rolloverWorld.ts';

const [OLD, NEW] = ['ROLL-1', 'ROLL-2'] as const;
const PAIR = ['ldevid.key', 'ldevid.crt'] as const;
/** What the first box had of the first CA. */
const byFirst = new Map<string, string>();
let rolling: RolloverWorld;
let next: Certificate;

const issuerOf = async (box: string): Promise<string> => {
  const [leaf] = parseCertificates(await readText(join(box, 'identity/ldevid.crt')));
  return leaf?.issuer.commonName ?? '';
};

beforeAll(async () => {
  rolling = await createRolloverWorld([OLD, NEW]);
  await rolling.applySite('before');
  await rolling.inService(OLD);
  await rolling.partsOf(OLD).agent.said(/committed.*"before"/);
});
afterAll(() => rolling.world.remove());

it('a box that knows the first CA alone goes on with servers and states of the next one', async () => {
  const { world, first, at, applySite, partsOf, anchorsOf } = rolling;
  expect(await rolling.nextSigns()).toContain('signs once the signer');
  const { agent, box } = partsOf(OLD);
  await world.branchbox(
    'controller',
    'anchors',
    '--config',
    at('controller.toml'),
    '--out',
    at('next-anchors'),
  );
  next = parseCertificate(await readText(at('next-anchors/domain.pem')));
  expect(next.fingerprintSha256).not.toBe(first.fingerprintSha256);
  // The command line goes on with the anchor that it had, too.
  await applySite('after');
  await agent.said(/committed.*"after"/);
  expect(await anchorsOf(box)).toEqual([first.fingerprintSha256]);
});

it('a box that comes new is pinned to the next CA, and learns the first one', async () => {
  const { first, inService, partsOf, anchorsOf } = rolling;
  const { box } = await inService(NEW);
  expect(await anchorsOf(box)).toEqual([next.fingerprintSha256, first.fingerprintSha256]);
  expect(await issuerOf(box)).toBe(next.subject.commonName);
  await partsOf(NEW).agent.said(/committed.*"after"/);
});

it('a box that renews is certified by the next CA, and believes both', async () => {
  const { first, anchorsOf } = rolling;
  const parts = rolling.partsOf(OLD);
  expect(await issuerOf(parts.box)).toBe(first.subject.commonName);
  for (const name of PAIR) byFirst.set(name, await readText(join(parts.box, 'identity', name)));
  await rolling.recover(parts);
  expect(await anchorsOf(parts.box)).toEqual([first.fingerprintSha256, next.fingerprintSha256]);
  expect(await issuerOf(parts.box)).toBe(next.subject.commonName);
});

it('certificates of either CA are revoked at the broker, and there alone', async () => {
  const { world, first, fleet, partsOf } = rolling;
  const [one, two] = [partsOf(OLD), partsOf(NEW)];
  await fleet('deny', OLD);
  await one.agent.said(/cannot be reached.*revoked/);
  expect(two.agent.lines.join('\n')).not.toContain('revoked');
  // With the certificate of the first CA that it had first: as out as with its new one.
  await one.agent.end('SIGTERM');
  await one.identity.end('SIGTERM');
  for (const [name, text] of byFirst) await writeFile(join(one.box, 'identity', name), text);
  expect(await issuerOf(one.box)).toBe(first.subject.commonName);
  one.agent = world.start('test/lab/moveAgent.ts', one.box, OLD, '1');
  await one.agent.said(/cannot be reached.*revoked/);
  await fleet('deny', NEW);
  await two.agent.said(/cannot be reached.*revoked/);
});
