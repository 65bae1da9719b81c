/** What the controller believes of what gateways say, what it answers, and since when it heard nothing. */
import { describe, expect, it } from 'vitest';
import { createPresence } from '../../../src/controller/presence.ts';
import { topicsOf } from '../../../src/model/mqtt.ts';
import type { GatewayStatus } from '../../../src/model/status.ts';
import { createPublishing as world } from './publishingWorld.ts';
import { statusWith } from './statusFixture.ts';

describe('what a gateway says', () => {
  const topic = topicsOf('branch1').status;
  const status = (sequence: number, seed = 2) => statusWith('branch1', { sequence, seed });

  it('is stored, newest last, and a new key is announced once', async () => {
    const { say, store, triggered } = await world();
    await say(topic, status(5));
    await say(topic, status(4, 7));
    await say(topic, status(6));
    expect((await store.gateways.status('branch1'))?.status.sequence).toBe(6);
    expect(triggered()).toBe(1);
  });

  it('of a newer release is read as far as this one knows it', async () => {
    const { say, store } = await world();
    const told = status(3);
    await say(topic, { ...told, weather: 'fine', facts: { ...told.facts, colour: { of: 'the case' } } });
    expect((await store.gateways.status('branch1'))?.status).toEqual(told);
  });

  const sentence = 'a sentence';
  const newer = (told: GatewayStatus, word: string) => ({
    ...told,
    health: {
      state: 'degraded',
      conditions: [{ code: word, severity: 'warning', subject: 's', sentence, sinceMs: 1 }],
    },
    refused: { digest: 'd', reason: word, problems: [] },
    bootstrap: { state: word, sinceMs: 1, waitsFor: 'w', mend: 'm' },
    firmware: {
      version: '9.0',
      state: word,
      sentence,
      lastResult: { version: '9.0', digest: 'd', result: word, sentence, atMs: 1 },
    },
  });

  it('of a newer release may have words for people that this one does not know', async () => {
    const { say, store } = await world();
    const told = newer(status(3), 'PAUSED_by-itself');
    await say(topic, told);
    expect((await store.gateways.status('branch1'))?.status).toEqual(told);
    const event = { id: 'b/1', atMs: 1, kind: 'fan-stopped', subject: 'fan1', sentence };
    await say(topicsOf('branch1').events, { gatewayId: 'branch1', events: [event] });
    expect(await store.gateways.events('branch1', { limit: 9 })).toMatchObject([event]);
  });

  it.each([7, '', 'two words', '\u001b[2J', 'x'.repeat(65)])(
    'is refused with %j where a word stands',
    async (word) => {
      const { say, store } = await world();
      const whole = newer(status(3), 'paused');
      for (const key of ['health', 'refused', 'bootstrap', 'firmware'] as const)
        await say(topic, { ...whole, [key]: newer(status(3), word as string)[key] });
      await say(topic, {
        ...whole,
        firmware: { ...whole.firmware, lastResult: { ...whole.firmware.lastResult, result: word } },
      });
      const event = { id: 'b/1', atMs: 1, kind: word, subject: 's', sentence };
      await say(topicsOf('branch1').events, { gatewayId: 'branch1', events: [event] });
      expect(await store.gateways.status('branch1')).toBeUndefined();
      expect(await store.gateways.events('branch1', { limit: 9 })).toEqual([]);
    },
  );

  it('is refused with an unknown word where somebody goes by it', async () => {
    const { say, store } = await world();
    const told = status(3);
    await say(topic, { ...told, health: { state: 'paused', conditions: [] } });
    expect(await store.gateways.status('branch1')).toBeUndefined();
  });

  it('is not believed in another name, with another gateway’s key, or from outside the fleet', async () => {
    const { say, store } = await world();
    await say(topic, status(1));
    await say(topicsOf('branch2').status, status(9));
    await say(topicsOf('branch2').status, statusWith('branch2', { sequence: 1, seed: 2 }));
    await say(topicsOf('stranger').status, statusWith('stranger', { sequence: 1, seed: 5 }));
    await say(topic, { ...status(2), sentAtMs: 'late' });
    expect((await store.gateways.allStatus()).map((r) => [r.gatewayId, r.status.sequence])).toEqual([
      ['branch1', 1],
    ]);
  });

  it('is not believed from a box that was revoked, until it is taken back', async () => {
    const { say, store } = await world();
    await store.inventory.add('SN-branch1', { approved: true }, 1);
    await say(topic, status(1));
    await store.inventory.update('SN-branch1', { state: 'revoked' });
    await say(topic, status(2));
    expect((await store.gateways.status('branch1'))?.status.sequence).toBe(1);
    await store.inventory.update('SN-branch1', { state: 'enrolled' });
    await say(topic, status(3));
    expect((await store.gateways.status('branch1'))?.status.sequence).toBe(3);
  });

  it('is answered: events by what was stored, a proof request by its proof', async () => {
    const { say, commands, answers } = await world();
    const event = { id: 'b/1', atMs: 1, kind: 'agent-started', subject: 'a', sentence: 's' };
    await say(topicsOf('branch1').events, { gatewayId: 'branch1', events: [event] });
    await say(topicsOf('branch1').events, { gatewayId: 'branch2', events: [event] });
    await say(topicsOf('branch1').reply, { kind: 'proof-request', gatewayId: 'branch1', nonce: 'n' });
    await say(topicsOf('branch1').reply, { kind: 'proof-request', gatewayId: 'branch2', nonce: 'n' });
    expect(commands).toEqual([
      { gatewayId: 'branch1', command: { kind: 'events-stored', ids: ['b/1'] } },
      { gatewayId: 'branch1', command: { kind: 'proof', nonce: 'n' } },
    ]);
    await say(topicsOf('branch1').reply, { kind: 'done', id: 'o', ok: false, message: 'no' });
    expect(answers).toEqual([{ gatewayId: 'branch1', ok: false }]);
  });

  it('is dropped where it says more than can be stored, and heard again after', async () => {
    const { say, commands } = await world();
    const { reply } = topicsOf('branch1');
    const ask = (nonce: string) => say(reply, { kind: 'proof-request', gatewayId: 'branch1', nonce });
    await Promise.all(Array.from({ length: 500 }, (_, i) => ask(`flood ${i}`)));
    expect(commands.length).toBeGreaterThan(10);
    expect(commands.length).toBeLessThan(100);
    await ask('after');
    expect(commands.at(-1)).toEqual({ gatewayId: 'branch1', command: { kind: 'proof', nonce: 'after' } });
  });

  it('of a test of its uplinks is stored and answered, in its own name alone', async () => {
    const { say, commands, store } = await world();
    const when = { occasion: 'ordered', startedAtMs: 1, endedAtMs: 2 };
    const report = { schema: 1, id: 'r1', ...when, serial: 'SN', verdict: 'pass', uplinks: [] };
    const { reply } = topicsOf('branch1');
    await say(reply, { kind: 'uplink-report', gatewayId: 'branch2', report });
    await say(reply, { kind: 'uplink-report', gatewayId: 'branch1', report: { ...report, verdict: 'fine' } });
    expect(commands).toEqual([]);
    await say(reply, { kind: 'uplink-report', gatewayId: 'branch1', report });
    expect(commands).toEqual([{ gatewayId: 'branch1', command: { kind: 'report-stored', id: 'r1' } }]);
    expect((await store.uplinkReports.list('branch1', 9)).map((one) => one.report)).toEqual([report]);
    expect(await store.uplinkReports.list('branch2', 9)).toEqual([]);
  });
});

describe('a gateway that is not heard', () => {
  const { status: topic, reply, events } = topicsOf('branch1');
  const gone = { kind: 'gone', gatewayId: 'branch1' };

  it('is silent from the end of its session until it says something again', async () => {
    const { say, presence, clock } = await world();
    const now = clock.nowMs();
    await say(topic, statusWith('branch1', { sequence: 5, seed: 2 }));
    expect(presence.silentSince('branch1', now)).toBeUndefined();
    await say(reply, { ...gone, gatewayId: 'branch2' });
    expect(presence.silentSince('branch1', now)).toBeUndefined();
    await say(reply, gone);
    expect(presence.silentSince('branch1', now)).toBe(now);
    // What the broker retained is no sign of life.
    await say(topic, statusWith('branch1', { sequence: 5, seed: 2 }));
    expect(presence.silentSince('branch1', now)).toBe(now);
    await say(topic, statusWith('branch1', { sequence: 6, seed: 2 }));
    expect(presence.silentSince('branch1', now)).toBeUndefined();
    await say(reply, gone);
    const event = { id: 'b/1', atMs: 1, kind: 'agent-started', subject: 'a', sentence: 's' };
    await say(events, { gatewayId: 'branch1', events: [event] });
    expect(presence.silentSince('branch1', now)).toBeUndefined();
  });

  it('is silent since its last status where nobody saw its session end', () => {
    let nowMs = 1_000_000;
    const { silentSince } = createPresence({ clock: { nowMs: () => nowMs } as never });
    expect(silentSince('branch1', nowMs)).toBeUndefined();
    nowMs += 150_000;
    expect(silentSince('branch1', 1_000_000)).toBeUndefined();
    nowMs += 1;
    expect(silentSince('branch1', 1_000_000)).toBe(1_000_000);
  });
});
