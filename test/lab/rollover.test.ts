/**
 * The second half of a CA rollover, with the real signer, controller and mosquitto: the next domain CA signs, and a box that
 * knows the one before alone, one that comes new, and one that renews go on side by side; both CAs' certificates are revoked.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureRootTree } from '../../src/lab/rootTree.ts';
import { type Certificate, parseCertificate, parseCertificates } from '../../src/pki/certificate.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { certifyPast } from './bootstrapCertify.ts';
import { last, ownerOf, untilState } from './bootstrapObserve.ts';
import { type BootstrapWorld, branchesOf, createBootstrapWorld, readText } from './bootstrapWorld.ts';
import type { Running } from './processes.ts';

const [OLD, NEW] = ['ROLL-1', 'ROLL-2'] as const;
const PAIR = ['ldevid.key', 'ldevid.crt'] as const;
/** What the first box had of the first CA. */
const byFirst = new Map<string, string>();
let world: BootstrapWorld;
let signer: Running;
let controller: Running;
const boxes = new Map<string, { readonly box: string; identity: Running; agent: Running }>();
let first: Certificate;
let next: Certificate;

const at = (name: string): string => join(world.directory, name);
const fleet = (...words: readonly string[]) => world.branchbox('fleet', ...words, ...world.apiAccess);
async function applySite(site: string): Promise<void> {
  const gateways = branchesOf([OLD, NEW]).replaceAll('site = "here"', `site = "${site}"`);
  await writeFile(at('fleet.toml'), `[fleet]\nname = "test"\n${gateways}`);
  await fleet('apply', at('fleet.toml'));
}
async function inService(serial: string): Promise<string> {
  await fleet('inventory', serial);
  const box = await world.newBox(serial);
  const identity = world.start('test/lab/bootstrapBox.ts', box);
  await untilState(box, last('STRICT'));
  const agent = world.start('test/lab/moveAgent.ts', box, serial, String(boxes.size + 1));
  boxes.set(serial, { box, identity, agent });
  await untilState(box, last('OPERATIONAL'));
  return box;
}
function partsOf(serial: string) {
  const parts = boxes.get(serial);
  if (parts === undefined) throw new Error(`${serial} was not started`);
  return parts;
}
const anchorsOf = async (box: string): Promise<readonly string[]> =>
  parseCertificates((await ownerOf(box)).domainAnchorPem).map(({ fingerprintSha256 }) => fingerprintSha256);
const issuerOf = async (box: string): Promise<string> => {
  const [leaf] = parseCertificates(await readText(join(box, 'identity/ldevid.crt')));
  return leaf?.issuer.commonName ?? '';
};

beforeAll(async () => {
  world = await createBootstrapWorld(await ensureRootTree(createRunner(), () => undefined));
  ({ signer, controller } = await world.startServices());
  first = parseCertificate(await readText(at('anchors/domain.pem')));
  await applySite('before');
  await inService(OLD);
  await partsOf(OLD).agent.said(/committed.*"before"/);
});
afterAll(() => world.remove());

it('a box that knows the first CA alone goes on with servers and states of the next one', async () => {
  const state = ['--state', at('signer')];
  await world.branchbox('signer', 'rollover', ...state);
  expect(await world.branchbox('signer', 'rollover', ...state, '--sign')).toContain('signs once the signer');
  const { agent, box } = partsOf(OLD);
  await controller.end('SIGTERM');
  await signer.end('SIGTERM');
  signer = world.start('src/cli/main.ts', 'signer', 'serve', ...state, '--socket', at('signer.sock'));
  await signer.said(/signer is listening/);
  controller = await world.startController();
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
  const box = await inService(NEW);
  expect(await anchorsOf(box)).toEqual([next.fingerprintSha256, first.fingerprintSha256]);
  expect(await issuerOf(box)).toBe(next.subject.commonName);
  await partsOf(NEW).agent.said(/committed.*"after"/);
});

it('a box that renews is certified by the next CA, and believes both', async () => {
  const parts = partsOf(OLD);
  expect(await issuerOf(parts.box)).toBe(first.subject.commonName);
  for (const name of PAIR) byFirst.set(name, await readText(join(parts.box, 'identity', name)));
  await parts.identity.end('SIGTERM');
  await certifyPast(world, parts.box, {
    notBeforeMs: Date.now() - 3_600_000,
    notAfterMs: Date.now() - 1_000,
  });
  parts.identity = world.start('test/lab/bootstrapBox.ts', parts.box);
  await untilState(parts.box, (states) => states.includes('RECOVER') && last('OPERATIONAL')(states));
  expect(await anchorsOf(parts.box)).toEqual([first.fingerprintSha256, next.fingerprintSha256]);
  expect(await issuerOf(parts.box)).toBe(next.subject.commonName);
});

it('certificates of either CA are revoked at the broker, and there alone', async () => {
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
