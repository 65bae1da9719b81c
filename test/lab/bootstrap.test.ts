/**
 * Bootstrap against the real manufacturer, signer and controller, each its own process: one factor, killed in every
 * state, the controller away, a box that nobody knows.
 */
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimCodeOf } from '../../src/model/assignment.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { validateChain } from '../../src/pki/chain.ts';
import { last, ownerOf, statesOf, statusOf, untilOwned, untilState } from './bootstrapObserve.ts';
import { type BootstrapWorld, branchesOf, createBootstrapWorld, readText } from './bootstrapWorld.ts';
import type { Running } from './processes.ts';
import { TO_STRICT } from '../journeyStates.ts';

let world: BootstrapWorld;
let controller: Running;

const SERIALS = ['BBT-1', 'BBT-2', 'BBT-3', 'BBT-4', 'BBT-5'] as const;
/** Places without a box, and a rule that lists whoever claims to be of this machine. */
const SPARE = ['spare-1', 'spare-2', 'auto-1'] as const;
const gatewayOf = (serial: string): string => serial.toLowerCase();

beforeAll(async () => {
  world = await createBootstrapWorld();
  ({ controller } = await world.startServices());
  const spare = SPARE.map(
    (id, index) => `
[[gateways]]
id = "${id}"
role = "branch"
site = "${id.replace(/-.*/, '')}"
vtep = "10.255.0.${index + 31}"
[[gateways.uplinks]]
name = "internet"
port = "wan1"
`,
  );
  const rules = `
[[rules]]
name = "auto"
match = { serial = "BBAUTO-*" }
action = "approve"
place = { site = "auto" }
[[rules]]
name = "by-claims"
match = { serial = "BBWAIT-*", hostname = "*" }
place = { site = "spare" }
`;
  const fleet = join(world.directory, 'fleet.toml');
  await writeFile(fleet, `[fleet]\nname = "test"\n${branchesOf(SERIALS)}${spare.join('')}${rules}`);
  await world.branchbox('fleet', 'apply', fleet, ...world.apiAccess);
});
afterAll(() => world.remove());

const know = (serial: string) => world.branchbox('fleet', 'inventory', serial, ...world.apiAccess);
const startBox = (box: string): Running => world.start('test/lab/bootstrapBox.ts', box);

async function expectOwned(box: string, serial: string, gatewayId = gatewayOf(serial)): Promise<string> {
  const owner = await ownerOf(box);
  const certificate = parseCertificate(
    (await readText(join(box, 'identity/ldevid.crt'))).split('-----END CERTIFICATE-----')[0] +
      '-----END CERTIFICATE-----\n',
  );
  const anchor = parseCertificate(await readText(join(world.directory, 'anchors/domain.pem')));
  expect(owner.gatewayId).toBe(gatewayId);
  expect(parseCertificate(owner.domainAnchorPem).fingerprintSha256).toBe(anchor.fingerprintSha256);
  expect(certificate.subject.commonName).toBe(gatewayId);
  await validateChain({ leaf: certificate, intermediates: [], anchors: [anchor], atMs: Date.now() });
  expect((await stat(join(box, 'identity/ldevid.key'))).mode & 0o777).toBe(0o600);
  return certificate.fingerprintSha256;
}

describe('a factory-new box', () => {
  it('becomes a gateway of its owner, and waits there for its first desired state', async () => {
    const box = await world.newBox('BBT-1');
    await know('BBT-1');
    const process = startBox(box);
    await untilOwned(box);
    await expectOwned(box, 'BBT-1');
    expect(await statesOf(box)).toEqual(TO_STRICT);
    // The owner's own server was told, in the words of the box.
    const told = JSON.parse(await world.branchbox('fleet', 'status', ...world.apiAccess));
    expect(told.gateways.find(({ id }: { id: string }) => id === 'bbt-1').sentence).toMatch(
      /it reported bootstrap-complete at .*: STRICT: waits for its first desired state; describe this gateway in the fleet$/,
    );
    // What the agent does once it has a state that holds.
    await writeFile(join(box, 'agent/trial.json'), '{}');
    await untilState(box, (states) => states.includes('TRIAL'));
    await writeFile(join(box, 'agent/committed.jws'), 'x');
    await rm(join(box, 'agent/trial.json'));
    await untilState(box, last('OPERATIONAL'));
    await process.end('SIGTERM');
  });

  it('goes on when it is killed in every state, with one key and one certificate', async () => {
    const box = await world.newBox('BBT-2');
    await know('BBT-2');
    const killedIn = new Set<string>();
    const certificates = new Set<string>();
    for (;;) {
      const process = startBox(box);
      await untilState(box, (states) => {
        const now = states.at(-1);
        return now === 'STRICT' || (now !== undefined && !killedIn.has(now));
      });
      await process.end('SIGKILL');
      const now = (await statesOf(box)).at(-1) ?? '';
      if (now === 'STRICT' && killedIn.has(now)) break;
      killedIn.add(now);
      const certificate = await readText(join(box, 'identity/ldevid.crt')).catch(() => undefined);
      if (certificate !== undefined) certificates.add(certificate);
    }
    // The last life may have been too short to write its record.
    const process = startBox(box);
    await untilOwned(box);
    await process.end('SIGTERM');
    await expectOwned(box, 'BBT-2');
    expect([...certificates]).toEqual([await readText(join(box, 'identity/ldevid.crt'))]);
    expect([...killedIn]).toEqual(expect.arrayContaining(['PROVISIONAL', 'OWNED', 'LDEVID', 'STRICT']));
  });

  it('that nobody knows is refused, says why, and is taken once it is known', async () => {
    const box = await world.newBox('BBT-3');
    const process = startBox(box);
    const line = await process.said(/bootstrap step failed/);
    expect(line).toContain('bootstrap/refused');
    expect(line).toContain('BBT-3');
    expect(await statesOf(box)).not.toContain('OWNED');
    await know('BBT-3');
    await untilOwned(box);
    await process.end('SIGTERM');
    await expectOwned(box, 'BBT-3');
  });

  it('waits while the controller is away, and is taken when it comes back', async () => {
    await know('BBT-4');
    await controller.end('SIGKILL');
    const box = await world.newBox('BBT-4');
    const process = startBox(box);
    expect(await process.said(/bootstrap step failed/)).toContain('bootstrap/unreachable');
    controller = await world.startController();
    await untilOwned(box);
    await process.end('SIGTERM');
    await expectOwned(box, 'BBT-4');
  });
});

describe('a box that nobody named', () => {
  const fleet = (...words: readonly string[]) => world.branchbox('fleet', ...words, ...world.apiAccess);

  it('waits in the list by a rule, with what it says of itself, and is taken once it is approved', async () => {
    const box = await world.newBox('BBWAIT-1');
    const process = startBox(box);
    expect(await process.said(/bootstrap step failed/)).toContain('this box waits for an approval');
    const listed = await fleet('pending');
    expect(listed).toMatch(/BBWAIT-1 +waiting +(?:[A-Z2-9]{4}-?){3} +by-claims +198\.51\.100\.100 /);
    const { pending } = JSON.parse(await fleet('pending', '--json'));
    // It was asked for by the server, and sent.
    expect(pending[0].unproven).toMatchObject({ 'hw-model': 'lab', hostname: expect.any(String) });
    await fleet('approve', 'BBWAIT-1');
    await untilOwned(box);
    await process.end('SIGTERM');
    await expectOwned(box, 'BBWAIT-1', 'spare-1');
  });

  it('that is denied while it waits hears so in words, and so does the operator', async () => {
    const box = await world.newBox('BBWAIT-2');
    const process = startBox(box);
    await process.said(/this box waits for an approval/);
    await fleet('deny', 'BBWAIT-2');
    expect(await process.said(/an operator denied this box/)).toContain('bootstrap/refused');
    expect(await statusOf(box)).toMatchObject({
      state: 'PROVISIONAL',
      lastProblem: expect.stringContaining(
        '403: it does not know or accept this box (an operator denied this box)',
      ),
    });
    expect(await fleet('pending')).toMatch(/BBWAIT-2 +denied /);
    await process.end('SIGTERM');
    await expect(ownerOf(box)).rejects.toThrow('owner.json');
  });

  it('whose certificate waits for an approval is denied by the enrolment server in the same way', async () => {
    await fleet('inventory', 'BBT-5', '--two-factor');
    const box = await world.newBox('BBT-5');
    const process = startBox(box);
    await process.said(/waits for the activation code, or for an approval of this box/);
    expect(await statusOf(box)).toMatchObject({ state: 'ENROLLING', secondFactor: { state: 'wanted' } });
    await fleet('deny', 'BBT-5');
    expect(await process.said(/this box was revoked/)).toContain('bootstrap/refused');
    expect((await statusOf(box)).lastProblem).toContain('answered 403: it does not know or accept this box');
    await process.end('SIGTERM');
    await expect(ownerOf(box)).rejects.toThrow('owner.json');
  });

  it('is let in at once by a rule that says so of its serial', async () => {
    const box = await world.newBox('BBAUTO-1');
    const process = startBox(box);
    await untilOwned(box);
    await process.end('SIGTERM');
    await expectOwned(box, 'BBAUTO-1', 'auto-1');
  });

  it('is let in by the claim code on its page, typed before it came', async () => {
    const box = await world.newBox('BBCLAIM-1');
    const idevid = parseCertificate(await readText(join(box, 'factory/idevid.crt')));
    const code = claimCodeOf(idevid.spkiSha256);
    expect(await fleet('claim', code.toLowerCase().replaceAll('-', ' '), '--gateway', 'spare-2')).toContain(
      'becomes spare-2 when it comes',
    );
    const process = startBox(box);
    await untilOwned(box);
    await process.end('SIGTERM');
    await expectOwned(box, 'BBCLAIM-1', 'spare-2');
  });
});
