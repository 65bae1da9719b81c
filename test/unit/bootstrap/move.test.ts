/**
 * A move to another controller: what is true at each step of it, and that a box that is killed at any write goes on to
 * the same end. What does not move a box is in the fault table (faults/move.test.ts).
 */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { readOwnIdentity } from '../../../src/agent/ownIdentity.ts';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { ldevidPaths } from '../../../src/bootstrap/paths.ts';
import { Journal } from '../../../src/model/bootstrap.ts';
import { decodeJson } from '../../../src/model/decode.ts';
import { GATEWAY, NOW_MS } from './authorities.ts';
import type { LogLine } from './box.ts';
import { createFaultBench } from './faultBench.ts';
import { agentOf, type NextOwner, movesOf, offer, orderOf, THERE, useNextOwner, whose } from './moving.ts';
import { askSocket } from '../../../src/system/askSocket.ts';
import { createTpmUse } from '../../../src/system/tpmUse.ts';

const bench = createFaultBench();
let next: NextOwner;
useNextOwner(bench, (made) => (next = made));

const at = (name: string): string => `${bench.box.paths.state}/${name}`;
const entries = async () =>
  decodeJson(Journal, (await bench.box.files.readText(at('journal.json'))) ?? '', 'journal').entries;
const asAgent = () =>
  readOwnIdentity(bench.box.files, { ...AGENT_PATHS, identity: bench.box.paths.state }, createTpmUse());
const entered = (state: string, stage?: string) => (line: LogLine) =>
  line.message === 'bootstrap state entered' &&
  line.fields['state'] === state &&
  line.fields['stage'] === stage;

const doubt = (socketPath: string) =>
  askSocket({ socketPath }, { path: '/doubt', body: '', timeoutMs: 5_000, maxAnswerBytes: 1024 });

/** Until the box is in service again, with an agent that commits or not; whether it got there. */
function move(commits = true, dieAt?: number): Promise<boolean> {
  const agent = agentOf(bench.box, commits);
  let began = false;
  return bench.box.run({
    controller: bench.controller,
    until: (line) => {
      agent(line);
      began ||= line.fields['state'] === 'MIGRATE';
      return entered('OPERATIONAL')(line);
    },
    ...(dieAt === undefined ? {} : { dieAt }),
  });
}

describe('a box that is ordered to move', () => {
  it('enrols beside what it has, leaves the stage to the agent, and then is the next owner’s alone', async () => {
    const { box, controller } = bench;
    const key = await box.files.readText(ldevidPaths(box.paths).key);
    expect(await offer(box, orderOf(bench, next))).toContain(`as ${THERE}`);
    await box.run({ controller, until: entered('MIGRATE', 'enrolling') });
    expect((await asAgent())?.gatewayId).toBe(GATEWAY);
    await box.run({ controller, until: entered('MIGRATE', 'trying') });
    // The agent speaks as the next owner's from here on; on disk nothing of the present one is gone.
    expect((await asAgent())?.gatewayId).toBe(THERE);
    expect(await whose(box)).toContain(GATEWAY);
    expect(await box.files.readText(ldevidPaths(box.paths).key)).toBe(key);
    await box.files.writeDurable(`${box.paths.agent}/move-7/committed.jws`, 'next');
    await box.run({ controller, until: entered('MIGRATE', 'done') });
    // Decided; what the agent reads stays the same while the files move.
    expect((await asAgent())?.gatewayId).toBe(THERE);
    // Not before the agent has it in its usual place: it reads from the record of the move until then.
    let adopted = false;
    const slept = box.clock.slept.length;
    let ended = false;
    const adopting = (async () => {
      while (box.clock.slept.length === slept && !ended) await setImmediate();
      adopted = !ended;
      await box.files.remove(`${box.paths.agent}/move-7/committed.jws`);
    })();
    await move();
    ended = true;
    await adopting;
    expect(adopted).toBe(true);
    expect(await whose(box)).toBe(THERE);
    expect((await asAgent())?.anchorPem).toBe(next.owner.domainAnchorPem);
    expect(await box.files.readText(ldevidPaths(box.paths).key)).not.toBe(key);
    expect(box.modeOf(ldevidPaths(box.paths).key)).toBe(0o600);
    expect(next.controller.enrolments).toEqual(['simpleenroll by lab box']);
    expect((await (await movesOf(box)).status())?.last).toMatchObject({ outcome: 'moved' });
    const journal = (await entries()).map(({ state, note }) => [state, note['stage']].join(' ').trim());
    expect(journal.slice(-5)).toEqual([
      'OPERATIONAL',
      'MIGRATE enrolling',
      'MIGRATE trying',
      'MIGRATE done',
      'OPERATIONAL',
    ]);
  });

  it.each(['enrolling', 'trying'])(
    'is quarantined in the midst of it (%s) where its owner revokes it, and stays',
    async (stage) => {
      const { box, controller } = bench;
      const body = '{"standing":"quarantined","message":"stolen"}';
      controller.behaviour.ping = () => ({
        status: 403,
        headers: { 'content-type': 'application/json' },
        body,
      });
      if (stage === 'enrolling')
        next.controller.behaviour.enrol = () => ({ status: 202, headers: { 'retry-after': '1' } });
      await offer(box, orderOf(bench, next));
      let said: Promise<unknown> | undefined;
      await box.run({
        controller,
        until(line) {
          // As the agent does, whose session its owner ended.
          if (entered('MIGRATE', stage)(line)) said = doubt(box.paths.socket);
          return said !== undefined && ['QUARANTINED', 'OPERATIONAL'].includes(String(line.fields['state']));
        },
      });
      await said;
      expect((await entries()).at(-1)?.state).toBe('QUARANTINED');
      expect((await (await movesOf(box)).status())?.last).toMatchObject({
        outcome: 'returned',
        why: 'stolen',
      });
      expect(await box.files.readText(at('quarantine.json'))).toContain('stolen');
      expect([await whose(box), (await asAgent())?.gatewayId]).toEqual([GATEWAY, GATEWAY]);
    },
  );

  it('killed behind the mark of a quarantine, and before the end of its move, is quarantined', async () => {
    const { box, controller } = bench;
    await offer(box, orderOf(bench, next));
    await box.run({ controller, until: entered('MIGRATE', 'enrolling') });
    await box.files.writeDurable(at('quarantine.json'), '{"schema":1,"sinceMs":1,"why":"stolen"}');
    await box.run({
      controller,
      until: ({ fields }) =>
        ['QUARANTINED', 'OPERATIONAL'].includes(String(fields['state'])) || fields['stage'] === 'trying',
    });
    expect((await entries()).at(-1)?.state).toBe('QUARANTINED');
    expect((await (await movesOf(box)).status())?.last?.outcome).toBe('returned');
  });

  it('renews with the next owner from then on', async () => {
    const { box, controller } = bench;
    await offer(box, orderOf(bench, next));
    await move();
    await box.run({ controller, until: 'RENEW' });
    next.issueFor(box);
    await box.run({ controller, until: 'OPERATIONAL' });
    expect(next.controller.enrolments.at(-1)).toBe(`simplereenroll by ${THERE}`);
    expect(controller.enrolments).toHaveLength(1);
  });

  it.each([
    ['ends with the next owner, where the agent commits', true, THERE, 'moved'],
    ['ends with its own owner, where the agent does not', false, GATEWAY, 'returned'],
  ])(
    'killed at any write, %s',
    async (_what, commits, whom, outcome) => {
      const { box, controller } = bench;
      await offer(box, orderOf(bench, next));
      const saved = new Map<string, string>();
      for (const name of await box.files.list(box.paths.state)) {
        saved.set(name, (await box.files.readText(at(name))) ?? '');
      }
      let deaths = 0;
      for (let survived = false; !survived; deaths += 1) {
        for (const name of await box.files.list(box.paths.state)) await box.files.remove(at(name));
        for (const [name, text] of saved) await box.files.writeDurable(at(name), text);
        await box.files.remove(`${box.paths.agent}/move-7/committed.jws`);
        box.clock.setMs(NOW_MS);
        next.controller.enrolments.length = 0;
        survived = await move(commits, deaths);
        if (!survived) {
          // What the agent does goes on while this process is dead.
          const stage = (await (await movesOf(box)).current())?.stage;
          const committed = `${box.paths.agent}/move-7/committed.jws`;
          if (stage === 'trying' && commits) await box.files.writeDurable(committed, 'next');
          if (stage === 'done') await box.files.remove(committed);
          await settled();
        }
        expect(await whose(box), `death ${deaths}`).toBe(whom);
        expect(next.controller.enrolments.length, `death ${deaths}`).toBeLessThanOrEqual(2);
        expect((await (await movesOf(box)).status())?.last?.outcome, `death ${deaths}`).toBe(outcome);
        expect((await entries()).at(-1)?.state).toBe(survived ? 'OPERATIONAL' : 'RENEW');
        expect(deaths).toBeLessThan(100);
      }
      expect(deaths).toBeGreaterThan(commits ? 20 : 10);

      /** Until the move has ended and the box was in service once since. */
      async function settled(): Promise<void> {
        if ((await (await movesOf(box)).current()) !== undefined) await move(commits);
        else await box.run({ controller, until: 'OPERATIONAL' });
        // Into the state, not only up to it: it clears what a kill left.
        await box.run({
          controller,
          until: (line) =>
            line.message === 'the owner did not say how this box stands' || entered('RENEW')(line),
        });
      }
    },
    // Some forty lives of the box, each with its handshakes: 80 to 100 s on two cores with other work.
    400_000,
  );

  it('goes on with the move where its journal is lost', async () => {
    const { box } = bench;
    await offer(box, orderOf(bench, next));
    await box.files.remove(at('journal.json'));
    await move();
    expect(await whose(box)).toBe(THERE);
  });
});
