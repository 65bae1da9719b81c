/**
 * Owns which events a changed status means: conditions that came or went, paths, apps and the state of
 * bootstrap that changed. Pure.
 */
import { renderState } from '../model/bootstrap.ts';
import type { GatewayEvent, GatewayStatus } from '../model/status.ts';

export type NewEvent = Pick<GatewayEvent, 'kind' | 'subject' | 'sentence'>;
type Told = Pick<GatewayStatus, 'health' | 'paths' | 'apps' | 'bootstrap'>;

const MAX_SUBJECT = 200;

export function eventsOf(before: Told | undefined, after: Told): readonly NewEvent[] {
  const events: NewEvent[] = [];
  const add = (kind: NewEvent['kind'], subject: string, sentence: string): void => {
    events.push({ kind, subject: subject.slice(0, MAX_SUBJECT), sentence });
  };
  const conditionsBefore = byKey(
    before?.health.conditions ?? [],
    ({ code, subject }) => `${code} ${subject}`,
  );
  const conditionsAfter = byKey(after.health.conditions, ({ code, subject }) => `${code} ${subject}`);
  for (const [key, { subject, sentence }] of conditionsAfter) {
    if (!conditionsBefore.has(key)) add('condition-raised', subject, sentence);
  }
  for (const [key, { code, subject }] of conditionsBefore) {
    if (!conditionsAfter.has(key)) add('condition-cleared', subject, `${code} is over`);
  }
  // What an agent finds when it starts is not a change.
  if (before === undefined) return events;
  const { bootstrap } = after;
  if (
    bootstrap !== undefined &&
    before.bootstrap !== undefined &&
    before.bootstrap.state !== bootstrap.state
  ) {
    add('bootstrap-state', bootstrap.state, renderState(bootstrap));
  }
  const pathsBefore = byKey(before.paths, ({ id }) => id);
  for (const path of after.paths) {
    const earlier = pathsBefore.get(path.id);
    if (earlier === undefined || (earlier.state === path.state && earlier.active === path.active)) continue;
    add('path-changed', path.id, `path is ${path.state}${path.active ? ' and carries the traffic' : ''}`);
  }
  const appsBefore = byKey(before.apps, ({ name }) => name);
  for (const app of after.apps) {
    const earlier = appsBefore.get(app.name);
    if (earlier?.state !== app.state) add('app-changed', app.name, `app is ${app.state}`);
  }
  return events;
}

function byKey<T>(list: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, T> {
  return new Map(list.map((item) => [keyOf(item), item]));
}
