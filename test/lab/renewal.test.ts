/**
 * A certificate of ninety days that is renewed as time goes by, on real parts: boxes (identity process, and an agent's own
 * parts for its connection), manufacturer, signer, controller and mosquitto, all under one clock that the test turns. What
 * else becomes of an identity: identityLife.test.ts.
 */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureHostTools } from '../../src/lab/hostTools.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { ask, entriesOf, last, statesOf, untilState } from './bootstrapObserve.ts';
import { type BootstrapWorld, createBootstrapWorld, placeInFleet, readText } from './bootstrapWorld.ts';
import type { Running } from './processes.ts';
import { createTurnedClock, type TurnedClock } from './turnedClock.ts';
import { quietRootTree } from './quietRootTree.ts';

const PLAIN = ['RENEW-1', 'RENEW-2'] as const;
const IN_SESSION = 'RENEW-3';
const WAIT = { timeout: 120_000, interval: 100 };

let clockDirectory: string;
let clock: TurnedClock;
let world: BootstrapWorld;
let services: Record<'controller' | 'signer', Running>;
const boxes = new Map<string, { readonly box: string; readonly first: Pair; identity: Running }>();
const partsOf = (serial: string) => boxes.get(serial) ?? expect.unreachable();
/** Of a certificate's life; they begin within minutes of each other, and for all what counts is the first. */
let momentAt: (share: number) => number;

interface Pair {
  readonly key: string;
  readonly certificate: string;
}
const pairOf = async (box: string): Promise<Pair> => ({
  key: await readText(join(box, 'identity/ldevid.key')),
  certificate: await readText(join(box, 'identity/ldevid.crt')),
});
const startBox = (box: string): Running => world.start('test/lab/bootstrapBox.ts', box);
const startAgent = (box: string): Running => world.start('test/lab/moveAgent.ts', box, IN_SESSION);
/** What the agent says when its session ended: the box looks up, and at the time. */
const doubt = (box: string): Promise<string> => ask(box, 'POST', '/doubt');
/** A lease that is there anew. */
async function renewLease(box: string): Promise<void> {
  const lease = join(box, 'leases/wan1.env');
  await writeFile(lease, await readFile(lease));
}

beforeAll(async () => {
  const runner = createRunner();
  await ensureHostTools(runner, () => undefined, { forTests: true });
  clockDirectory = await mkdtemp(join(tmpdir(), 'bbt-clock-'));
  // A broker that dropped its rights looks at the clock, too.
  await chmod(clockDirectory, 0o711);
  clock = await createTurnedClock(join(clockDirectory, 'clock'));
  world = await createBootstrapWorld(await quietRootTree(), clock.words);
  services = await world.startServices();
  await placeInFleet(world, [...PLAIN, IN_SESSION]);
  const intoService = async (serial: string, box: string): Promise<void> => {
    if (serial !== IN_SESSION) await writeFile(join(box, 'agent/committed.jws'), 'x');
    const identity = startBox(box);
    if (serial === IN_SESSION) {
      await untilState(box, last('STRICT'));
      const agent = startAgent(box);
      await untilState(box, last('OPERATIONAL'));
      await agent.end('SIGTERM');
    }
    await untilState(box, last('OPERATIONAL'));
    await identity.end('SIGTERM');
    // Switched off: what it knew of the time is gone.
    await rm(join(box, 'run'), { recursive: true });
    boxes.set(serial, { box, first: await pairOf(box), identity });
  };
  const started: Promise<void>[] = [];
  for (const serial of [...PLAIN, IN_SESSION]) started.push(intoService(serial, await world.newBox(serial)));
  await Promise.all(started);
  const { notBeforeMs, notAfterMs } = parseCertificate(partsOf(PLAIN[0]).first.certificate);
  momentAt = (share) => notBeforeMs + share * (notAfterMs - notBeforeMs);
  await services.controller.end('SIGTERM');
}, 600_000);
afterAll(async () => {
  await world.remove();
  await rm(clockDirectory, { recursive: true });
});

it('before 60 % of its life nothing is renewed', async () => {
  await clock.turnTo(momentAt(0.599));
  for (const serial of PLAIN) {
    const parts = partsOf(serial);
    parts.identity = startBox(parts.box);
    await doubt(parts.box);
    // Asked only where no renewal is due.
    await parts.identity.said(/did not say how this box stands.*bootstrap\/unreachable/);
    expect(await statesOf(parts.box)).not.toContain('RENEW');
    expect(await pairOf(parts.box)).toEqual(parts.first);
  }
});

it('by 70 % each box renews by itself', async () => {
  services.controller = await world.startController();
  // An hour later: not all of them began at one time.
  await clock.turnTo(momentAt(0.7005));
  for (const serial of PLAIN) await doubt(partsOf(serial).box);
  for (const serial of PLAIN) {
    const { box, first, identity } = partsOf(serial);
    await untilState(box, (states) => states.includes('RENEW') && last('OPERATIONAL')(states));
    const { notBeforeMs, notAfterMs } = parseCertificate(first.certificate);
    const renewed = (await entriesOf(box)).filter(({ state }) => state === 'RENEW');
    expect(renewed).toHaveLength(1);
    const share = ((renewed[0]?.enteredAtMs ?? 0) - notBeforeMs) / (notAfterMs - notBeforeMs);
    expect(share).toBeGreaterThanOrEqual(0.6);
    // The hour, and the minutes that the test takes, of ninety days.
    expect(share).toBeLessThan(0.701);
    const next = await pairOf(box);
    expect(next.key).not.toBe(first.key);
    expect(parseCertificate(next.certificate).notBeforeMs).toBeGreaterThan(momentAt(0.599));
    expect(parseCertificate(next.certificate).subject).toEqual(parseCertificate(first.certificate).subject);
    await identity.end('SIGTERM');
  }
});

it('a server that fails leaves the old one in use, and is asked ever more seldom; the session goes on with the new', async () => {
  const parts = partsOf(IN_SESSION);
  const { box, first } = parts;
  const agent = startAgent(box);
  const times = (pattern: RegExp) => () => agent.lines.filter((line) => pattern.test(line)).length;
  const [connected, lost] = [times(/controller connected/), times(/controller lost/)];
  await agent.said(/controller connected/);

  /** Of an identity process: what it says of a try in vain. */
  const refusal = async (code: string, attempt: number): Promise<number> => {
    const said = new RegExp(`bootstrap step failed.*"state":"RENEW","attempt":${attempt},"code":"${code}"`);
    const { delayMs } = JSON.parse(await parts.identity.said(said)) as { delayMs: number };
    expect(await pairOf(box)).toEqual(first);
    return delayMs;
  };
  // The controller answers, and cannot certify: it says when to come again.
  await services.signer.end('SIGKILL');
  parts.identity = startBox(box);
  expect(await refusal('bootstrap/refused', 1)).toBeLessThan(30_000);
  expect([connected(), lost()]).toEqual([1, 0]);

  // Nobody answers: from a minute on, each wait is at least half of its step, which doubles.
  await services.controller.end('SIGTERM');
  await expect.poll(lost, WAIT).toBe(1);
  for (const attempt of [1, 2]) {
    const delayMs = await refusal('bootstrap/unreachable', attempt);
    expect(delayMs).toBeGreaterThanOrEqual(30_000 * 2 ** (attempt - 1));
    expect(delayMs).toBeLessThanOrEqual(60_000 * 2 ** (attempt - 1));
    // Asked before its time.
    if (attempt === 1) await renewLease(box);
  }

  services.signer = await world.startSigner();
  services.controller = await world.startController();
  // By the old one, which is all that there is.
  await expect.poll(connected, WAIT).toBe(2);
  expect(await pairOf(box)).toEqual(first);

  await renewLease(box);
  await untilState(box, (states) => states.includes('RENEW') && last('OPERATIONAL')(states));
  const next = await pairOf(box);
  expect([next.key === first.key, next.certificate === first.certificate]).toEqual([false, false]);
  // The broker hears of it with the next connection; the one that stands is none the worse.
  expect([connected(), lost()]).toEqual([2, 1]);
  await services.controller.end('SIGTERM');
  services.controller = await world.startController();
  await expect.poll(connected, WAIT).toBe(3);
  expect(await statesOf(box)).not.toContain('RECOVER');
});
