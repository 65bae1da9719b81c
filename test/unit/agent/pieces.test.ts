/**
 * The agent's pure pieces (trial verdict, explain, status events), held against
 * plain inputs.
 */
import { describe, expect, it } from 'vitest';
import { explainItem, listItems } from '../../../src/agent/explain.ts';
import { eventsOf } from '../../../src/agent/statusEvents.ts';
import { describe as describeExplanation } from '../../../src/cli/explain.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { Explanation } from '../../../src/model/localStatus.ts';
import { leaseGate } from '../../../src/net/itemIds.ts';
import { trialProblems, troubledBefore } from '../../../src/reconcile/trial.ts';
import { modelItem } from '../../fakes/modelBox.ts';

describe('what speaks against a state on trial', () => {
  const none = { steps: [], blocked: [] };
  const failed = modelItem('alpha', 'bridge', 1);
  const waits = modelItem('alpha', 'port', 1, [failed.id]);
  const failures = new Map([[failed.id, new BranchboxError('net/kernel', { message: 'no' })]]);

  it('is a failure that was not there before', () => {
    const report = { plan: none, failures };
    expect(trialProblems(report, new Set())).toEqual([{ path: 'alpha:bridge', message: 'no' }]);
    expect(trialProblems(report, troubledBefore(report))).toEqual([]);
  });

  it('is a step that is left, and what waits for something of ours that is not there', () => {
    const plan = {
      steps: [{ op: 'create', item: failed } as const],
      blocked: [{ id: waits.id, missing: [modelItem('beta', 'gone', 1).id] }],
    };
    expect(trialProblems({ plan, failures: new Map() }, new Set()).map(({ path }) => path)).toEqual([
      'alpha:port',
      'alpha:bridge',
    ]);
  });

  it('is no cable that is not plugged in, nor what waits for that', () => {
    const plan = {
      steps: [],
      blocked: [
        { id: failed.id, missing: [leaseGate('wan2')] },
        { id: waits.id, missing: [failed.id] },
      ],
    };
    expect(trialProblems({ plan, failures: new Map() }, new Set())).toEqual([]);
  });
});

describe('explain', () => {
  const route = modelItem('alpha', 'route', 1, [leaseGate('wan1')]);
  const app = modelItem('beta', 'app', 1, [route.id]);
  const reportOf = (blocked: boolean) => ({
    converged: true,
    plan: { steps: [], blocked: blocked ? [{ id: route.id, missing: [leaseGate('wan1')] }] : [] },
    observation: { items: blocked ? [] : [route], gates: new Set<never>(), unobserved: new Map() },
    failures: new Map(),
    applied: 0,
    durationMs: 1,
  });

  it('says in words what a blocked item waits for', () => {
    const answer = explainItem(route.id, { wanted: [route, app], reports: [reportOf(true)], defects: [] });
    expect(Explanation.parse(answer)).toMatchObject({ state: 'blocked', neededBy: ['beta:app'] });
    expect(answer.sentence).toContain('has no DHCP lease');
    expect(answer.needs).toEqual([
      { id: 'external:lease/wan1', state: 'missing', sentence: expect.stringContaining('check its cable') },
    ]);
  });

  it('follows what waits to what it waits for in the end: a gate, or an error', () => {
    const waits = (report: ReturnType<typeof reportOf>) => ({
      ...report,
      plan: { steps: [], blocked: [...report.plan.blocked, { id: app.id, missing: [route.id] }] },
    });
    const wanted = [route, app];
    const gated = explainItem(app.id, { wanted, reports: [waits(reportOf(true))], defects: [] });
    expect(gated.sentence).toMatch(/^It waits\. alpha:route waits, too\. .*has no DHCP lease/);
    const error = new BranchboxError('system/file', { message: 'no such device' });
    const broken = { ...reportOf(false), failures: new Map([[route.id, error]]) };
    const knowledge = { wanted, reports: [waits(broken)], defects: [] };
    expect(explainItem(app.id, knowledge).sentence).toBe(
      'It waits. alpha:route could not be brought about (no such device).',
    );
    expect(explainItem(route.id, knowledge).sentence).toContain('(no such device); it is tried again.');
  });

  it('says what is needed and not there, with what waits for it', () => {
    const knowledge = { wanted: [route, app], reports: [reportOf(true)], defects: [] };
    const answer = explainItem('external:lease/wan1', knowledge);
    expect(Explanation.parse(answer)).toMatchObject({ state: 'missing', neededBy: ['alpha:route'] });
    expect(answer.sentence).toContain('wan1 has no DHCP lease');
    const there = {
      ...reportOf(false),
      observation: { ...reportOf(false).observation, gates: new Set([leaseGate('wan1')]) },
    };
    expect(explainItem('external:lease/wan1', { ...knowledge, reports: [there] }).state).toBe('there');
  });

  it('lets what could not be planned speak for all that was to be planned with it', () => {
    const error = new BranchboxError('reconcile/conflict', {
      message: 'alpha:x is wanted in two ways at once',
    });
    const defects = [{ owns: (kind: string) => kind === 'alpha', error }];
    // The run before: then it was as wanted.
    const knowledge = { wanted: [route, app], reports: [reportOf(false)], defects };
    const answer = explainItem(route.id, knowledge);
    expect(Explanation.parse(answer)).toMatchObject({ state: 'failed' });
    expect(answer.sentence).toContain('in two ways at once');
    expect(answer.lastError).toContain('in two ways at once');
    expect(explainItem(app.id, knowledge)).toMatchObject({ state: 'absent' });
    expect(explainItem(app.id, knowledge).lastError).toBeUndefined();
    expect(listItems(knowledge).items.find(({ id }) => id === route.id)?.state).toBe('failed');
  });

  it('tells what is as wanted, what is not wanted and what nobody knows', () => {
    const reports = [reportOf(false)];
    const state = (id: string, wanted = [route, app]) =>
      explainItem(id, { wanted, reports, defects: [] }).state;
    expect(state(route.id)).toBe('as-wanted');
    expect(state(route.id, [modelItem('alpha', 'route', 2)])).toBe('different');
    expect(state(route.id, [])).toBe('not-wanted');
    expect(state(app.id)).toBe('absent');
    expect(state('alpha:nothing')).toBe('unknown');
    const unknown = Explanation.parse(explainItem('alpha:nothing', { wanted: [], reports, defects: [] }));
    expect(unknown.mend).toContain('branchbox explain');
  });

  it('names what may have been meant by an id that nobody knows, and by no other', () => {
    const knowledge = { wanted: [route, app], reports: [reportOf(true)], defects: [] };
    const unknown = Explanation.parse(explainItem('alpha:ruote', knowledge));
    expect(unknown.nearest).toEqual(['alpha:route']);
    expect(describeExplanation(unknown)).toEqual([
      'alpha:ruote: unknown',
      '  No item of this box has this id.',
      '  near: alpha:route',
      expect.stringMatching(/^ {2}mend: `branchbox explain` without an item lists .*--json/),
    ]);
    // What is needed and not there is known too.
    expect(explainItem('lease/wan1', knowledge).nearest).toEqual(['external:lease/wan1']);
    expect(explainItem('gamma:nothing', knowledge).nearest).toEqual([]);
    expect(explainItem(route.id, knowledge).nearest).toBeUndefined();
  });

  it('lists what is wanted or there, as each is explained', () => {
    const gone = modelItem('alpha', 'gone', 1);
    const report = reportOf(false);
    const reports = [{ ...report, observation: { ...report.observation, items: [route, gone] } }];
    const { items } = listItems({ wanted: [app, route], reports, defects: [] });
    expect(items.map(({ id, state }) => [id, state])).toEqual([
      ['alpha:gone', 'not-wanted'],
      ['alpha:route', 'as-wanted'],
      ['beta:app', 'absent'],
      ['external:lease/wan1', 'missing'],
    ]);
    for (const { id, ...listed } of items) {
      expect(explainItem(id, { wanted: [app, route], reports, defects: [] })).toMatchObject(listed);
    }
  });
});

describe('events of a changed status', () => {
  const path = {
    id: 'a~b',
    uplink: 'internet',
    peer: 'hub',
    state: 'up',
    active: true,
    preference: 1,
  } as const;
  const told = (state: 'up' | 'down', conditions: readonly string[]) => ({
    health: {
      state: 'ok' as const,
      conditions: conditions.map((subject) => ({
        code: 'path-down' as const,
        severity: 'warning' as const,
        subject,
        sentence: 'down',
        sinceMs: 0,
      })),
    },
    paths: [{ ...path, state, active: state === 'up' }],
    apps: [],
  });

  it('come once for each change, and none for what an agent finds at its start', () => {
    expect(eventsOf(undefined, told('up', []))).toEqual([]);
    expect(eventsOf(told('up', []), told('down', ['a~b'])).map(({ kind }) => kind)).toEqual([
      'condition-raised',
      'path-changed',
    ]);
    expect(eventsOf(told('down', ['a~b']), told('up', [])).map(({ kind }) => kind)).toEqual([
      'condition-cleared',
      'path-changed',
    ]);
    expect(eventsOf(told('down', ['a~b']), told('down', ['a~b']))).toEqual([]);
  });
});
