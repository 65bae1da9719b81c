/**
 * Owns the answer to "why is it as it is": one item as wanted, as on the box, what it stands on, what went wrong.
 * Pure over the last run of each lane.
 */
import { renderError } from '../model/errors.ts';
import type { Explanation } from '../model/localStatus.ts';
import type { ItemId } from '../model/ids.ts';
import { missingGateSentence } from '../net/gates.ts';
import { sameSpec } from '../reconcile/equal.ts';
import type { AnyItem } from '../reconcile/item.ts';
import type { Report } from '../reconcile/reconciler.ts';

export interface Knowledge {
  readonly wanted: readonly AnyItem[];
  readonly reports: readonly Report<AnyItem>[];
}

export function explainItem(id: string, { wanted, reports }: Knowledge): Explanation {
  const item = wanted.find((one) => one.id === id);
  const observed = reports.flatMap((report) => report.observation.items).find((one) => one.id === id);
  const there = new Set<string>(
    reports.flatMap(({ observation }) => [...observation.items.map((one) => one.id), ...observation.gates]),
  );
  const blocked = new Map(
    reports.flatMap(({ plan }) => plan.blocked.map((one) => [String(one.id), one.missing])),
  );
  const error = reports
    .map(({ failures }) => [...failures].find(([failed]) => failed === id)?.[1])
    .find(Boolean);
  const needs = (item?.needs ?? observed?.needs ?? []).map((need) => needState(need, there, blocked));
  const neededBy = wanted.filter((one) => one.needs.some((need) => need === id)).map((one) => one.id);
  const owner = item?.owner ?? observed?.owner;
  return {
    id,
    ...judgeItem(item, observed, blocked.get(id), error !== undefined),
    ...(owner === undefined ? {} : { owner }),
    ...(item === undefined ? {} : { wanted: item.spec }),
    ...(observed === undefined ? {} : { observed: observed.spec }),
    needs,
    neededBy: neededBy.toSorted(),
    ...(error === undefined ? {} : { lastError: renderError(error) }),
  };
}

function judgeItem(
  item: AnyItem | undefined,
  observed: AnyItem | undefined,
  missing: readonly ItemId[] | undefined,
  failed: boolean,
): Pick<Explanation, 'state' | 'sentence'> {
  if (item === undefined) {
    if (observed === undefined) return { state: 'unknown', sentence: 'No item of this box has this id.' };
    return observed.owner === 'external'
      ? { state: 'not-wanted', sentence: "It is somebody else's: it only gates others." }
      : { state: 'not-wanted', sentence: 'It is ours and no longer wanted: it will be deleted.' };
  }
  if (missing !== undefined) {
    const why = missing.map((need) => missingGateSentence(need) ?? `${need} is not there.`).join(' ');
    return { state: 'blocked', sentence: `It waits. ${why}` };
  }
  if (failed) return { state: 'failed', sentence: 'It could not be brought about; it is tried again.' };
  if (observed === undefined) return { state: 'absent', sentence: 'It is wanted, and will be created.' };
  return sameSpec(item.spec, observed.spec)
    ? { state: 'as-wanted', sentence: 'It is as wanted.' }
    : { state: 'different', sentence: 'It differs from what is wanted, and will be changed.' };
}

function needState(
  need: ItemId,
  there: ReadonlySet<string>,
  blocked: ReadonlyMap<string, readonly ItemId[]>,
): Explanation['needs'][number] {
  if (blocked.has(need)) return { id: need, state: 'blocked' };
  if (there.has(need)) return { id: need, state: 'there' };
  const sentence = missingGateSentence(need);
  return { id: need, state: 'missing', ...(sentence === undefined ? {} : { sentence }) };
}
