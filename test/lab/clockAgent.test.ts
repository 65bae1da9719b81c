/**
 * Boxes whose system's clock is in 1970 and in 2045, on real parts: manufacturer, signer, controller with mosquitto, the
 * identity process and the agent's own parts for its connection and its desired state (moveAgent.ts), both under a clock
 * that libfaketime turns. They come into service, and only what is right by the time that they were told is believed.
 */
import { cp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureHostTools } from '../../src/lab/hostTools.ts';
import { OBSTACLE_SENTENCES } from '../../src/model/obstacle.ts';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { makeCa } from '../unit/pki/domain.ts';
import { entriesOf, last, ownerOf, statesOf, statusOf, untilState } from './bootstrapObserve.ts';
import {
  ADDRESS,
  type BootstrapWorld,
  createBootstrapWorld,
  placeInFleet,
  readText,
} from './bootstrapWorld.ts';
import type { Running } from './processes.ts';
import { beginningAt } from './turnedClock.ts';
import { quietRootTree } from './quietRootTree.ts';

const CLOCKS = [
  ['1970', '@1970-01-02 00:00:00'],
  ['2045', '@2045-01-01 00:00:00'],
] as const;
const serialOf = (year: string): string => `CLOCK-${year}`;
const boxes = new Map<string, string>();
const boxOf = (year: string): string => boxes.get(year) ?? expect.unreachable();
let world: BootstrapWorld;

/** An entry of this checkout, by whose clock it is that moment when it begins; the machine's count goes on as ever. */
const startAt = (faketime: string, ...words: readonly string[]): Running =>
  world.startAs([...beginningAt(faketime), join(import.meta.dirname, '../../launch'), ...words]);

beforeAll(async () => {
  const runner = createRunner();
  await ensureHostTools(runner, () => undefined, { forTests: true });
  world = await createBootstrapWorld(await quietRootTree());
  await world.startServices();
  await placeInFleet(
    world,
    CLOCKS.map(([year]) => serialOf(year)),
  );
});
afterAll(() => world.remove());

describe.each(CLOCKS)('a factory-new box in %s', (year, faketime) => {
  it('comes into service: its agent goes by the time that its identity process knows', async () => {
    const box = await world.newBox(serialOf(year));
    boxes.set(year, box);
    const identity = startAt(faketime, 'test/lab/bootstrapBox.ts', box);
    await untilState(box, last('STRICT'));
    const known = join(box, 'run/known-time.json');
    await rename(known, `${known}.kept`);
    const agent = startAt(faketime, 'test/lab/moveAgent.ts', box, serialOf(year));
    // What an installer reads meanwhile.
    const { why, mend } = OBSTACLE_SENTENCES.clock;
    await expect
      .poll(() => statusOf(box), { timeout: 60_000 })
      .toMatchObject({ state: 'STRICT', waitsFor: `its controller: ${why}`, mend });
    await rename(`${known}.kept`, known);
    await untilState(box, last('OPERATIONAL'));
    expect(await agent.said(/controller connected/)).toContain(`"time":"${year}`);
    expect(await statesOf(box)).not.toContain('RECOVER');
    // Both were there all the time.
    expect((await entriesOf(box)).at(-1)?.enteredAtMs).toBeLessThan(Date.UTC(Number(year) + 1, 0));
    await agent.end('SIGKILL');
    await identity.end('SIGKILL');
  });

  /** The agent alone, over files of the box that somebody changed. */
  async function refusal(change: (box: string) => Promise<void>): Promise<string> {
    const box = `${boxOf(year)}-changed`;
    await rm(box, { recursive: true, force: true });
    await cp(boxOf(year), box, { recursive: true, filter: (path) => !path.endsWith('.sock') });
    // What it holds names the broker too.
    await rm(join(box, 'agent'), { recursive: true });
    await change(box);
    const agent = startAt(faketime, 'test/lab/moveAgent.ts', box, serialOf(year));
    const line = await agent.said(/cannot be reached|controller connected/);
    await agent.end('SIGKILL');
    return line;
  }
  const owned = (how: (owner: Awaited<ReturnType<typeof ownerOf>>) => object) => async (box: string) => {
    const owner = await ownerOf(box);
    await writeFile(join(box, 'identity/owner.json'), JSON.stringify({ ...owner, ...how(owner) }));
  };
  const told = (momentMs: number) => async (box: string) => {
    const moment = { momentMs, monotonicMs: Number(process.hrtime.bigint() / 1_000_000n) };
    const known = { schema: 1, floor: moment, witness: moment };
    await writeFile(join(box, 'run/known-time.json'), JSON.stringify(known));
  };
  const endOfBroker = async (): Promise<number> => {
    const asked = `echo | openssl s_client -connect ${ADDRESS.controller}:8883 2>/dev/null | openssl x509`;
    return parseCertificate(await world.inside('sh', '-c', asked)).notAfterMs;
  };

  it('reaches its broker also by its files alone, which the following refusals change', async () => {
    expect(await refusal(async () => undefined)).toContain('controller connected');
  });

  it('refuses a broker of another domain CA under the same name', async () => {
    const anchor = parseCertificate(await readText(join(world.directory, 'anchors/domain.pem')));
    const other = makeCa(anchor.subject.commonName, {
      notBeforeMs: anchor.notBeforeMs,
      notAfterMs: anchor.notAfterMs,
    });
    const line = await refusal(owned(() => ({ domainAnchorPem: other.certificate.pem })));
    expect(line).toMatch(/is not who it must be/);
    expect(line).toMatch(/not trusted|refuses/);
  });

  it('refuses a broker of another name', async () => {
    const line = await refusal(owned(({ mqtt }) => ({ mqtt: { ...mqtt, host: 'other.branchbox.example' } })));
    expect(line).toContain('showed a certificate for another name');
  });

  it('refuses a broker whose certificate has ended by then', async () => {
    const line = await refusal(told((await endOfBroker()) + 60_000));
    expect(line).toMatch(/is not valid at that time: .* ended/);
  });

  it('refuses it where nobody told the time', async () => {
    const line = await refusal((box) => rm(join(box, 'run/known-time.json')));
    expect(line).toMatch(
      /is not valid by the clock of this box .* is not valid at that time: .* (begins|ended)/,
    );
  });
});
