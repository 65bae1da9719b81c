/** What the controller knows of a box, and keeps of an outage. */
import { describe, expect, it } from 'vitest';
import { api } from './fleet.ts';
import { inNode, jsonIn, lab, until } from './lab.ts';

interface Status {
  readonly committed?: { readonly generation: number };
  readonly bootstrap?: object;
  readonly health: {
    readonly state: string;
    readonly conditions: readonly {
      readonly code: string;
      readonly subject: string;
      readonly sentence: string;
    }[];
  };
  readonly paths: readonly { readonly id: string; readonly uplink: string; readonly state: string }[];
  readonly segments: readonly {
    readonly id: string;
    readonly state: string;
    readonly remoteVteps: readonly string[];
  }[];
  readonly apps: readonly { readonly name: string; readonly state: string }[];
}
interface Event {
  readonly id: string;
  readonly kind: string;
  readonly subject: string;
  readonly sentence: string;
}
/** The API's answer holds the status as the box sent it, at its top or under `status`. */
async function knownOf(gateway: string): Promise<Status> {
  const { body } = await api('GET', `/api/v1/gateways/${gateway}/status`);
  const known = body as Status & { status?: Status };
  return known.status ?? known;
}

describe('what the controller knows', () => {
  it('is generation, health, paths, segments and apps of each box', async () => {
    const known = await until('branch1 is known to be well', async () => {
      const status = await knownOf('branch1');
      return status.health.state === 'ok' && status.paths.every((path) => path.state === 'up')
        ? status
        : undefined;
    });
    expect(known.committed?.generation).toBeGreaterThan(0);
    expect(known.paths).toHaveLength(4);
    expect(known.segments.find((segment) => segment.id === 'red')).toMatchObject({
      state: 'up',
      remoteVteps: ['10.255.0.12'],
    });
    expect(known.apps).toMatchObject([{ name: 'red-app', state: 'running' }]);
  });

  it('is where it is in bootstrap, and by which states it came there, in the words of the box', async () => {
    const own = await jsonIn<Record<'state' | 'sinceMs' | 'waitsFor' | 'mend', unknown>>(
      'branch1',
      'branchbox',
      'bootstrap',
      'status',
      '--json',
    );
    const { state, sinceMs, waitsFor, mend } = own;
    expect(state).toBe('OPERATIONAL');
    expect((await knownOf('branch1')).bootstrap).toEqual({ state, sinceMs, waitsFor, mend });
    const { body } = await api('GET', '/api/v1/gateways/branch1/events?limit=1000');
    const told = (body as readonly Event[]).filter(({ kind }) => kind === 'bootstrap-state');
    expect(told.findLast(({ subject }) => subject === state)).toMatchObject({
      sentence: `OPERATIONAL: waits for ${String(waitsFor)}; ${String(mend)}`,
    });
  });

  it.each([
    { unit: 'branchbox-signer.service', ailment: 'the signer is away' },
    { unit: 'branchbox-manufacturer.service', ailment: 'the manufacturer is away' },
  ])('of itself includes $unit: /healthz says that $ailment', async ({ unit, ailment }) => {
    const told = async () => (await api('GET', '/healthz')).body as { ok: boolean; ailments: string[] };
    await until('the controller is well', async () => (await told()).ok);
    await inNode('controller', 'systemctl', 'stop', unit);
    try {
      await until(ailment, async () => (await told()).ailments.includes(ailment));
    } finally {
      await inNode('controller', 'systemctl', 'start', unit);
    }
    await until('the controller is well again', async () => (await told()).ok);
  });

  it('follows a change: a path down is there with its sentence, and gone after healing', async () => {
    await lab('cut', 'branch1', 'lte');
    try {
      const known = await until('the controller knows that lte is down', async () => {
        const status = await knownOf('branch1');
        return status.paths.filter((path) => path.uplink === 'lte').every((path) => path.state === 'down')
          ? status
          : undefined;
      });
      const condition = known.health.conditions.find(
        ({ code }) => code === 'path-down' || code === 'uplink-down',
      );
      expect(condition?.sentence.length).toBeGreaterThan(20);
    } finally {
      await lab('heal', 'branch1', 'lte');
    }
    await until(
      'the controller knows that it is well again',
      async () => (await knownOf('branch1')).health.state === 'ok',
    );
  });

  it('holds the events of an outage that the box kept through a restart of its agent', async () => {
    const atController = async (): Promise<ReadonlySet<string>> => {
      const { body } = await api('GET', '/api/v1/gateways/branch1/events?limit=1000');
      return new Set((body as readonly { id: string }[]).map(({ id }) => id));
    };
    const waiting = async () =>
      (await jsonIn<{ events: readonly Event[] }>('branch1', 'branchbox', 'status', '--events', '--json'))
        .events;
    await until('nothing waits for the controller', async () => (await waiting()).length === 0);
    const before = await atController();
    const units = ['branchbox-controller.service'];
    await inNode('controller', 'systemctl', 'stop', ...units);
    let kept: readonly string[] = [];
    try {
      await lab('cut', 'branch1', 'lte');
      const events = await until('the box has events of the cut', async () => {
        const found = await waiting();
        const tells = (kind: string, text: string) =>
          found.some((event) => event.kind === kind && JSON.stringify(event).includes(text));
        return tells('path-changed', 'lte') && tells('condition-raised', 'controller') ? found : undefined;
      });
      kept = events.map(({ id }) => id);
      await inNode('branch1', 'systemctl', 'restart', 'branchbox-agent.service');
      await until('the agent is back, with every event it had', async () => {
        const after = new Set((await waiting()).map(({ id }) => id));
        return kept.every((id) => after.has(id));
      });
    } finally {
      await lab('heal', 'branch1', 'lte');
      await inNode('controller', 'systemctl', 'start', ...units);
    }
    // None of them had come before the outage, so that what is found below came after it.
    expect(kept.filter((id) => before.has(id))).toEqual([]);
    await until('the controller has each of them', async () => {
      const known = await atController();
      return kept.every((id) => known.has(id));
    });
    await until('the box keeps none that is stored', async () => (await waiting()).length === 0);
  });
});
