/**
 * The whole bootstrap against servers in process, and renewal, killed at any write too. Kills before that, damaged files
 * and wrong clocks are rows of the fault table (faults/).
 */
import { createPublicKey } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal, Owner } from '../../../src/model/bootstrap.ts';
import { decodeJson } from '../../../src/model/decode.ts';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { issueCertificate } from '../../../src/pki/issue.ts';
import {
  type Authorities,
  createAuthorities,
  DAY_MS,
  GATEWAY,
  NOW_MS,
  withLastingServer,
} from './authorities.ts';
import { type Box, createBox, type LogLine } from './box.ts';
import { createFakeTpm } from './fakeTpm.ts';
import { everywhereTo, issueAtTheTimeOf, json, startController, type TestController } from './servers.ts';
import { INTO_SERVICE } from '../../journeyStates.ts';

let authorities: Authorities;
let controller: TestController;
let box: Box;

beforeEach(async () => {
  authorities = createAuthorities();
  controller = await startController(authorities);
  box = await createBox(authorities, controller.port);
});
afterEach(async () => {
  await controller.close();
  await box.remove();
});

const read = (name: string): Promise<string | undefined> => box.files.readText(`${box.paths.state}/${name}`);
async function states(): Promise<readonly string[]> {
  const journal = decodeJson(Journal, (await read('journal.json')) ?? '', 'journal');
  return journal.entries.map((entry) => entry.state);
}
const failedIn = (state: string) => (line: LogLine) =>
  line.message === 'bootstrap step failed, trying again' && line.fields['state'] === state;
/** Progress reports, in order. */
const toldBy = ({ reports }: TestController): readonly (readonly string[])[] =>
  reports.map((body) => {
    const input = JSON.parse(body)['ietf-sztp-bootstrap-server:input'];
    return [input['progress-type'], input.message];
  });
/** What the agent and a person find of a box that is through. */
async function service() {
  return {
    gatewayId: decodeJson(Owner, (await read('owner.json')) ?? '', 'owner').gatewayId,
    anchor: (await read('domain-anchor.pem')) === authorities.domain.certificate.pem,
    certificate: parseCertificate((await read('ldevid.crt')) ?? '').subject.commonName,
  };
}
const IN_SERVICE = { gatewayId: GATEWAY, anchor: true, certificate: GATEWAY };

describe('a clean run', () => {
  it('goes from the factory into service, journalling every state', async () => {
    await box.run({ controller, until: 'OPERATIONAL' });
    expect(await states()).toEqual(INTO_SERVICE);
    expect(await service()).toEqual(IN_SERVICE);
    expect(controller.enrolments).toEqual(['simpleenroll by lab box']);
    // RFC 8572 5.6: the beginning and the end, to who asked for no more.
    expect(toldBy(controller)).toEqual([
      [
        'bootstrap-initiated',
        'OWNED: waits for the enrolment server of its owner; check that the controller is reachable',
      ],
      ['bootstrap-complete', 'STRICT: waits for its first desired state; describe this gateway in the fleet'],
    ]);
    expect(await read('pending-owner.json')).toBeUndefined();
  });

  it('keeps the key to itself: readable by root alone, in no log line and no message', async () => {
    await box.run({ controller, until: 'OPERATIONAL' });
    expect(box.modeOf(`${box.paths.state}/ldevid.key`)).toBe(0o600);
    const told = JSON.stringify([box.log, controller.reports, await read('journal.json')]);
    expect(told).not.toContain('PRIVATE KEY');
    const middle = (await read('ldevid.key'))?.split('\n')[1] ?? 'no key';
    expect(told).not.toContain(middle);
  });

  it('tells every state to an owner who wants to hear all, also that somebody is waited for, once', async () => {
    const { sztp, enrol } = controller.behaviour;
    controller.behaviour.sztp = (nonce) => {
      const output = JSON.parse(sztp(nonce).body ?? '')['ietf-sztp-bootstrap-server:output'];
      return json({ 'ietf-sztp-bootstrap-server:output': { 'reporting-level': 'verbose', ...output } });
    };
    let waits = 3;
    controller.behaviour.enrol = (...words) =>
      waits-- > 0
        ? { status: 202, headers: { 'retry-after': '1', 'www-authenticate': 'Basic realm="code"' } }
        : enrol(...words);
    await box.run({ controller, until: 'OPERATIONAL' });
    expect(toldBy(controller)).toEqual([
      [
        'bootstrap-initiated',
        'OWNED: waits for the enrolment server of its owner; check that the controller is reachable',
      ],
      ['config-initiated', 'ENROLLING: waits for its certificate; an operator may have to approve this box'],
      [
        'informational',
        expect.stringMatching(/^ENROLLING: waits for the activation code, or an approval; on a LAN port /),
      ],
      [
        'config-complete',
        'LDEVID: waits for a connection under its own certificate; check that the controller is reachable',
      ],
      ['bootstrap-complete', 'STRICT: waits for its first desired state; describe this gateway in the fleet'],
    ]);
  });

  it('tells the owner why it begins again', async () => {
    controller.behaviour.ping = () => json({}, 500);
    await box.run({ controller, until: () => controller.reports.some((body) => body.includes('-error')) });
    expect(toldBy(controller)).toContainEqual([
      'bootstrap-error',
      expect.stringMatching(
        /^LDEVID: waits for a connection under its own certificate; check .*; bootstrap.refused: .* answered 500/,
      ),
    ]);
  });

  it('tells no progress to a server that does not prove to be the owner', async () => {
    // The same machine under a name that its certificate does not have: whoever answers there may be anybody.
    box.uplinks = [
      {
        ifname: 'wan1',
        address: '127.0.0.1',
        dns: [],
        bootstrapServers: [`https://elsewhere.example:${controller.port}`],
      },
    ];
    await box.run({ controller, until: 'OPERATIONAL' });
    expect(controller.reports).toEqual([]);
    expect(await service()).toEqual(IN_SERVICE);
  });
});

describe('renewal', () => {
  const LIFE_MS = 90 * DAY_MS + 60_000;
  beforeEach(async () => {
    await box.run({ controller, until: 'OPERATIONAL' });
    controller.enrolments.length = 0;
    controller.asked.length = 0;
  });

  it('begins at 60 to 70 % of the life, and until then asks for nothing but how it stands', async () => {
    await box.run({ controller, until: 'RENEW' });
    const elapsed = (box.clock.nowMs() - (NOW_MS - 60_000)) / LIFE_MS;
    expect(elapsed).toBeGreaterThanOrEqual(0.6);
    expect(elapsed).toBeLessThanOrEqual(0.7);
    expect([...new Set(controller.asked)]).toEqual(['GET /v1/ping']);
    // About once a day.
    expect(controller.asked.length).toBeLessThan(90);
  });

  it('is due where the certificate that the box is in service by has a serial number of its CA’s own', async () => {
    const certificate = issueCertificate({
      profile: { kind: 'idevid', serialNumber: 'INVENTORY-7', commonName: GATEWAY },
      publicKey: createPublicKey((await read('ldevid.key')) ?? ''),
      issuer: authorities.domain,
      validity: { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 90 * DAY_MS },
    });
    await box.files.writeDurable(`${box.paths.state}/ldevid.crt`, certificate.pem);
    await box.run({ controller, until: ({ fields }) => String(fields['state']).startsWith('RE') });
    expect((await states()).at(-1)).toBe('RENEW');
  });

  it('brings a key that is in a file into the TPM that works now', async () => {
    const kind = async (): Promise<string> => ((await read('ldevid.key')) ?? '').split('\n')[0] ?? '';
    expect(await kind()).toBe('-----BEGIN PRIVATE KEY-----');
    box.tpm = createFakeTpm();
    issueAtTheTimeOf(box, authorities, controller);
    await box.run({ controller, until: 'RENEW' });
    await box.run({ controller, until: 'OPERATIONAL' });
    expect(await kind()).toBe('-----BEGIN TSS2 PRIVATE KEY-----');
    expect(controller.enrolments).toEqual([`simplereenroll by ${GATEWAY}`]);
    expect(await read('ldevid-next.key')).toBeUndefined();
  });

  it('uses a new key under the old certificate, and moves over what was proved', async () => {
    const old = { key: await read('ldevid.key'), certificate: await read('ldevid.crt') };
    await box.run({ controller, until: 'RENEW' });
    issueAtTheTimeOf(box, authorities, controller);
    await box.run({ controller, until: 'OPERATIONAL' });
    expect(controller.enrolments).toEqual([`simplereenroll by ${GATEWAY}`]);
    expect(await read('ldevid.key')).not.toBe(old.key);
    expect(await read('ldevid.crt')).not.toBe(old.certificate);
    expect(await read('ldevid-next.key')).toBeUndefined();
    expect(await service()).toEqual(IN_SERVICE);
  });

  it('keeps the old certificate where the controller does not take the new one', async () => {
    const old = await read('ldevid.crt');
    await box.run({ controller, until: 'RENEW' });
    issueAtTheTimeOf(box, authorities, controller);
    controller.behaviour.ping = () => ({ status: 403 });
    await box.run({ controller, until: failedIn('RENEW') });
    expect(await read('ldevid.crt')).toBe(old);
  });

  it('recovers where the certificate to renew is lost meanwhile: nobody renews what cannot be shown', async () => {
    await box.run({ controller, until: 'RENEW' });
    issueAtTheTimeOf(box, authorities, controller);
    await box.files.remove(`${box.paths.state}/ldevid.crt`);
    await box.run({ controller, until: 'OPERATIONAL' });
    expect(controller.enrolments).toEqual(['simpleenroll by lab box']);
  });

  it('recovers under the factory identity where the certificate has expired', async () => {
    box.clock.setMs(NOW_MS + 90 * DAY_MS + 1);
    issueAtTheTimeOf(box, authorities, controller);
    // Its own server's certificate was renewed meanwhile; here it ends with the box's, so the proof must fail.
    await box.run({ controller, until: failedIn('RECOVER') });
    expect(box.log.at(-1)?.fields['code']).toBe('pki/expired');
  });

  it('of a certificate that expired goes to the domain already owned, with no new voucher', async () => {
    await controller.close();
    controller = await startController(withLastingServer(authorities));
    const old = { key: await read('ldevid.key'), certificate: await read('ldevid.crt') };
    const moved = { ...controller, connect: everywhereTo(controller) };
    box.clock.setMs(NOW_MS + 120 * DAY_MS);
    issueAtTheTimeOf(box, authorities, controller);
    // Away at first: the expired pair is kept, and it is tried again, from a minute to an hour, spread.
    const { ping } = controller.behaviour;
    let refusals = 0;
    controller.behaviour.ping = (peer) => {
      refusals += 1;
      return refusals > 6 ? ping(peer) : { status: 503 };
    };
    box.clock.slept.length = 0;
    const enough = (line: LogLine) => failedIn('RECOVER')(line) && refusals >= 6;
    await box.run({ controller: moved, until: enough });
    expect(await read('ldevid.crt')).toBe(old.certificate);
    await box.run({ controller: moved, until: 'OPERATIONAL' });
    // One key, one request, however often the proof failed.
    expect(controller.enrolments).toEqual(['simpleenroll by lab box']);
    expect(controller.asked.filter((line) => line.includes('sztp'))).toEqual([]);
    expect(await read('ldevid.key')).not.toBe(old.key);
    expect(await service()).toEqual(IN_SERVICE);
  });

  it('that fails is tried again ever later up to an hour, spread, with the old pair in use', async () => {
    const old = await read('ldevid.crt');
    await box.run({ controller, until: 'RENEW' });
    controller.behaviour.enrol = () => ({ status: 500 });
    let failures = 0;
    const delays: number[] = [];
    await box.run({
      controller,
      until: (line) => {
        if (!failedIn('RENEW')(line)) return false;
        delays.push(Number(line.fields['delayMs']));
        failures += 1;
        return failures === 9;
      },
    });
    // Of 1, 2, 4 … 60 minutes half is certain and half is drawn: three quarters by this test's draw.
    const minutes = delays.map((ms) => ms / 60_000);
    expect(minutes).toEqual([0.75, 1.5, 3, 6, 12, 24, 45, 45, 45]);
    expect(await read('ldevid.crt')).toBe(old);
    expect(await service()).toEqual(IN_SERVICE);
  });

  it('killed at any write, ends with one pair that fits', async () => {
    await box.run({ controller, until: 'RENEW' });
    issueAtTheTimeOf(box, authorities, controller);
    const saved = new Map<string, string>();
    for (const name of await box.files.list(box.paths.state)) saved.set(name, (await read(name)) ?? '');
    for (let dieAt = 0, survived = false; !survived; dieAt += 1) {
      for (const name of await box.files.list(box.paths.state)) {
        await box.files.remove(`${box.paths.state}/${name}`);
      }
      for (const [name, text] of saved) await box.files.writeDurable(`${box.paths.state}/${name}`, text);
      controller.enrolments.length = 0;
      survived = await box.run({ controller, until: 'OPERATIONAL', dieAt });
      const hadCertificate = (await read('ldevid-next.crt')) !== undefined;
      const hadEnrolled = controller.enrolments.length;
      if (!survived) await box.run({ controller, until: 'OPERATIONAL' });
      expect(await service()).toEqual(IN_SERVICE);
      expect(await read('ldevid.crt')).not.toBe(saved.get('ldevid.crt'));
      const enrolledAgain = controller.enrolments.length > hadEnrolled;
      expect(hadCertificate && enrolledAgain, `death ${dieAt}`).toBe(false);
      expect(dieAt).toBeLessThan(100);
    }
  }, 60_000);
});
