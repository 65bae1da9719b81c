/**
 * A box whose owner takes its trust from it: what counts as that, what does not, that the mark on disk outlives kills and
 * a lost journal, and that only a good answer takes it away.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { quarantinePath } from '../../../src/bootstrap/paths.ts';
import { quarantineOf } from '../../../src/bootstrap/standing.ts';
import { createStandingLooks } from '../../../src/bootstrap/standingLooks.ts';
import { Journal, Quarantine } from '../../../src/model/bootstrap.ts';
import { decodeJson } from '../../../src/model/decode.ts';
import {
  type Authorities,
  createAuthorities,
  DAY_MS,
  GATEWAY,
  HOUR_MS,
  NOW_MS,
  withLastingServer,
} from './authorities.ts';
import { type Box, createBox, createTestClock, type LogLine } from './box.ts';
import {
  everywhereTo,
  issueAtTheTimeOf,
  type Reply,
  startController,
  type TestController,
} from './servers.ts';

let authorities: Authorities;
let controller: TestController;
let box: Box;

const WHY = 'this box was revoked';
const answer = (status: number, body: unknown, type = 'application/json'): Reply => ({
  status,
  headers: { 'content-type': type },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const DISTRUST = answer(403, { code: 'controller/refused', standing: 'quarantined', message: WHY });
const TRUST = answer(200, { gatewayId: GATEWAY });

beforeEach(async () => {
  authorities = withLastingServer(createAuthorities());
  controller = await startController(authorities);
  box = await createBox(authorities, controller.port);
  await box.run({ controller, until: 'OPERATIONAL' });
});
afterEach(async () => {
  await controller.close();
  await box.remove();
});

async function mark(): Promise<Quarantine | undefined> {
  const text = await box.files.readText(quarantinePath(box.paths));
  return text === undefined ? undefined : decodeJson(Quarantine, text, 'mark');
}
async function states(): Promise<readonly string[]> {
  const text = (await box.files.readText(`${box.paths.state}/journal.json`)) ?? '';
  return decodeJson(Journal, text, 'journal').entries.map(({ state }) => state);
}
const told = (message: string) => (line: LogLine) => line.message === message;
const failedIn = (state: string) => (line: LogLine) =>
  told('bootstrap step failed, trying again')(line) && line.fields['state'] === state;

describe('taking trust away', () => {
  it('is marked with the reason before the journal says so, and keeps time and words', async () => {
    controller.behaviour.ping = () => DISTRUST;
    await box.run({ controller, until: 'QUARANTINED' });
    const first = await mark();
    expect(first?.why).toBe(WHY);
    await box.run({ controller, until: failedIn('QUARANTINED') });
    expect(box.log.at(-1)?.fields).toMatchObject({ code: 'bootstrap/quarantined' });
    expect(String(box.log.at(-1)?.fields['problem'])).toContain(WHY);
    expect(await mark()).toEqual(first);
  });

  it.each<[string, () => Reply]>([
    ['a refusal that does not say quarantined', () => answer(403, { message: WHY })],
    ['the words with another status', () => answer(401, { standing: 'quarantined', message: WHY })],
    ['the words as HTML', () => answer(403, { standing: 'quarantined', message: WHY }, 'text/html')],
    ['half an answer', () => answer(403, '{"standing":"quarantined"')],
    ['a server in trouble', () => answer(500, { standing: 'quarantined', message: WHY })],
    ['a captive portal', () => ({ status: 302, headers: { location: 'https://portal.example' } })],
  ])('%s is none: the box stays in service', async (_what, reply) => {
    controller.behaviour.ping = reply;
    await box.run({ controller, until: told('the owner did not say how this box stands') });
    expect(await mark()).toBeUndefined();
    expect((await states()).at(-1)).toBe('OPERATIONAL');
  });

  it('by somebody who is not the owner is none, whatever is said', async () => {
    const impostor = await startController({
      ...authorities,
      server: createAuthorities().server,
    });
    impostor.behaviour.ping = () => DISTRUST;
    const detour = { ...controller, connect: everywhereTo(impostor) };
    await box.run({ controller: detour, until: told('the owner did not say how this box stands') });
    expect(box.log.at(-1)?.fields['code']).toBe('pki/untrusted');
    expect(impostor.asked).toEqual([]);
    expect(await mark()).toBeUndefined();
    await impostor.close();
  });

  it('is learned from a renewal that is refused', async () => {
    await box.run({ controller, until: 'RENEW' });
    controller.behaviour.enrol = () => ({ status: 403 });
    controller.behaviour.ping = () => DISTRUST;
    await box.run({ controller, until: 'QUARANTINED' });
    expect((await mark())?.why).toBe(WHY);
  });

  it('killed at any write, ends quarantined with the mark', async () => {
    controller.behaviour.ping = () => DISTRUST;
    const saved = await box.files.list(box.paths.state);
    const texts = new Map<string, string>();
    for (const name of saved) texts.set(name, (await box.files.readText(`${box.paths.state}/${name}`)) ?? '');
    for (let dieAt = 0, survived = false; !survived; dieAt += 1) {
      await box.files.remove(quarantinePath(box.paths));
      for (const [name, text] of texts) await box.files.writeDurable(`${box.paths.state}/${name}`, text);
      survived = await box.run({ controller, until: 'QUARANTINED', dieAt });
      if (!survived) await box.run({ controller, until: 'QUARANTINED' });
      expect(await mark(), `death ${dieAt}`).toMatchObject({ why: WHY });
      expect(dieAt).toBeLessThan(50);
    }
  });
});

describe('a quarantined box', () => {
  beforeEach(async () => {
    controller.behaviour.ping = () => DISTRUST;
    await box.run({ controller, until: 'QUARANTINED' });
  });

  it('stays one while nobody answers', async () => {
    controller.behaviour.ping = () => ({ status: 503 });
    await box.run({ controller, until: failedIn('QUARANTINED') });
    expect(await mark()).toMatchObject({ why: WHY });
  });

  it('stays one where its journal is lost', async () => {
    await box.files.remove(`${box.paths.state}/journal.json`);
    await box.run({ controller, until: failedIn('QUARANTINED') });
    expect(await states()).toEqual(['QUARANTINED']);
    expect(await mark()).toMatchObject({ why: WHY });
  });

  it('stays one where its mark cannot be read', async () => {
    await box.files.writeDurable(quarantinePath(box.paths), '{');
    await box.run({ controller, until: failedIn('QUARANTINED') });
    expect(await mark()).toMatchObject({ why: WHY });
  });

  it('is back in service once the owner says so, with the same key', async () => {
    const key = await box.files.readText(`${box.paths.state}/ldevid.key`);
    controller.behaviour.ping = () => TRUST;
    await box.run({ controller, until: 'OPERATIONAL' });
    expect(await mark()).toBeUndefined();
    expect((await states()).slice(-3)).toEqual(['QUARANTINED', 'STRICT', 'OPERATIONAL']);
    expect(await box.files.readText(`${box.paths.state}/ldevid.key`)).toBe(key);
  });

  it('killed at any write on its way back, is back in service without a mark', async () => {
    controller.behaviour.ping = () => TRUST;
    for (let dieAt = 0, survived = false; !survived; dieAt += 1) {
      survived = await box.run({ controller, until: 'OPERATIONAL', dieAt });
      if (!survived) await box.run({ controller, until: 'OPERATIONAL' });
      expect(await mark()).toBeUndefined();
      expect(dieAt).toBeLessThan(50);
      if (survived) break;
      controller.behaviour.ping = () => DISTRUST;
      await box.run({ controller, until: 'QUARANTINED' });
      controller.behaviour.ping = () => TRUST;
    }
  });

  it('whose certificate ended meanwhile asks by its factory identity, and recovers', async () => {
    const shown: string[] = [];
    controller.behaviour.ping = (peer) => {
      shown.push(peer?.subject.commonName ?? 'nobody');
      return DISTRUST;
    };
    issueAtTheTimeOf(box, authorities, controller);
    box.clock.setMs(NOW_MS + 90 * DAY_MS + HOUR_MS);
    await box.run({ controller, until: failedIn('QUARANTINED') });
    controller.behaviour.ping = () => TRUST;
    await box.run({ controller, until: 'OPERATIONAL' });
    expect(shown).toEqual(['lab box']);
    expect((await states()).slice(-3)).toEqual(['QUARANTINED', 'RECOVER', 'OPERATIONAL']);
    expect(await mark()).toBeUndefined();
  });
});

describe('when a box asks', () => {
  it('is about once a day, at once after a hint, and never in a storm of them', () => {
    const clock = createTestClock();
    let nowMs = 0;
    const looks = createStandingLooks({ clock: { monotonicMs: () => nowMs }, random: () => 0 });
    expect(looks.dueInMs()).toBe(18 * HOUR_MS);
    looks.hint();
    expect(looks.dueInMs()).toBe(0);
    looks.looked();
    looks.hint();
    expect(looks.dueInMs()).toBe(10_000);
    nowMs += 10_000;
    expect(looks.dueInMs()).toBe(0);
    looks.looked();
    expect(looks.dueInMs()).toBe(18 * HOUR_MS);
    expect(clock.slept).toEqual([]);
  });
  it('takes no answer for one that is longer than a screen', () => {
    const body = Buffer.from(JSON.stringify({ standing: 'quarantined', message: 'x'.repeat(1001) }));
    expect(quarantineOf({ status: 403, contentType: 'application/json', body })).toBeUndefined();
  });
});
