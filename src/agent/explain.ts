/**
 * Owns the answer to "why is this as it is?" for one item: what is wanted, what is on the box, what it depends on, what
 * went wrong; and the list of items that can be asked about. Pure, from the last run of each lane.
 */
import { type BranchboxError, renderError } from '../model/errors.ts';
import type { Explanation, ItemList } from '../model/localStatus.ts';
import type { ItemId } from '../model/ids.ts';
import { missingGateSentence } from '../net/gates.ts';
import { sameSpec } from '../reconcile/equal.ts';
import type { AnyItem } from '../reconcile/item.ts';
import type { Report } from '../reconcile/reconciler.ts';
import { nearestIds } from './nearestIds.ts';

export interface Knowledge {
  readonly wanted: readonly AnyItem[];
  readonly reports: readonly Report<AnyItem>[];
  /** Of each lane whose last run could not be planned. */
  readonly defects: readonly { readonly owns: (kind: string) => boolean; readonly error: BranchboxError }[];
}

export function explainItem(id: string, knowledge: Knowledge): Explanation {
  const known = index(knowledge);
  const item = known.wanted.get(id);
  const observed = known.observed.get(id);
  const error = known.errors.get(id) ?? defectOf(item, known);
  const needs = (item?.needs ?? observed?.needs ?? []).map((need) => needState(need, known));
  const neededBy = knowledge.wanted
    .filter((one) => one.needs.some((need) => need === id))
    .map((one) => one.id);
  const owner = item?.owner ?? observed?.owner;
  const judged = judgeItem(id, known);
  return {
    id,
    ...judged,
    ...(judged.state === 'unknown' ? { nearest: [...nearestIds(id, idsOf(known))] } : {}),
    ...(owner === undefined ? {} : { owner }),
    ...(item === undefined ? {} : { wanted: item.spec }),
    ...(observed === undefined ? {} : { observed: observed.spec }),
    needs,
    neededBy: neededBy.toSorted(),
    ...(error === undefined ? {} : { lastError: renderError(error) }),
  };
}

/** Whatever is wanted, there, or needed and not there, each with its state and why, sorted by id. */
export function listItems(knowledge: Knowledge): ItemList {
  const known = index(knowledge);
  return { items: [...idsOf(known)].toSorted().map((id) => ({ id, ...judgeItem(id, known) })) };
}

/** What is known by id: a box has thousands of items. */
interface Index {
  readonly wanted: ReadonlyMap<string, AnyItem>;
  readonly observed: ReadonlyMap<string, AnyItem>;
  readonly gates: ReadonlySet<string>;
  readonly blocked: ReadonlyMap<string, readonly ItemId[]>;
  readonly errors: ReadonlyMap<string, BranchboxError>;
  /** What a wanted item depends on. */
  readonly needed: ReadonlySet<string>;
  readonly defects: Knowledge['defects'];
}

function index({ wanted, reports, defects }: Knowledge): Index {
  return {
    defects,
    needed: new Set(wanted.flatMap(({ needs }) => needs)),
    wanted: new Map(wanted.map((item) => [item.id, item])),
    observed: new Map(reports.flatMap(({ observation }) => observation.items.map((item) => [item.id, item]))),
    gates: new Set(reports.flatMap(({ observation }) => [...observation.gates])),
    blocked: new Map(reports.flatMap(({ plan }) => plan.blocked.map(({ id, missing }) => [id, missing]))),
    errors: new Map(reports.flatMap(({ failures }) => [...failures])),
  };
}

/** Of what is wanted, there, or needed and not there. */
function idsOf({ wanted, observed, needed, gates }: Index): ReadonlySet<string> {
  const missing = [...needed].filter((need) => !gates.has(need));
  return new Set([...wanted.keys(), ...observed.keys(), ...missing]);
}

const defectOf = (item: AnyItem | undefined, { defects }: Index): BranchboxError | undefined =>
  item === undefined ? undefined : defects.find(({ owns }) => owns(item.kind))?.error;

function judgeItem(id: string, known: Index): Pick<Explanation, 'state' | 'sentence' | 'mend'> {
  const item = known.wanted.get(id);
  const observed = known.observed.get(id);
  if (item === undefined) return judgeUnwanted(id, observed, known);
  // Nothing that was seen or planned before it is true of what is wanted now.
  const defect = defectOf(item, known);
  if (defect !== undefined) {
    const sentence = `What is wanted together with it could not be planned, so that nothing of it is done: ${defect.message}`;
    return { state: 'failed', sentence };
  }
  const missing = known.blocked.get(id);
  if (missing !== undefined) {
    return { state: 'blocked', sentence: `It waits. ${rootsOf(missing, known).join(' ')}` };
  }
  const error = known.errors.get(id);
  if (error !== undefined)
    return {
      state: 'failed',
      sentence: `It could not be brought about (${error.message}); it is tried again.`,
    };
  if (observed === undefined) return { state: 'absent', sentence: 'It is wanted, and will be created.' };
  return sameSpec(item.spec, observed.spec)
    ? { state: 'as-wanted', sentence: 'It is as wanted.' }
    : { state: 'different', sentence: 'It differs from what is wanted, and will be changed.' };
}

/** Why each is not there, in a sentence; for one that waits itself, what it waits for in the end. */
function rootsOf(needs: readonly ItemId[], known: Index, seen = new Set<string>()): readonly string[] {
  return needs.flatMap((need) => {
    if (seen.has(need)) return [];
    seen.add(need);
    const gate = missingGateSentence(need);
    if (gate !== undefined) return [gate];
    const error = known.errors.get(need);
    if (error !== undefined) return [`${need} could not be brought about (${error.message}).`];
    const beyond = rootsOf(known.blocked.get(need) ?? [], known, seen);
    return beyond.length === 0 ? [`${need} is not there.`] : [`${need} waits, too.`, ...beyond];
  });
}

function judgeUnwanted(
  id: string,
  observed: AnyItem | undefined,
  known: Index,
): Pick<Explanation, 'state' | 'sentence' | 'mend'> {
  if (observed?.owner === 'us')
    return { state: 'not-wanted', sentence: 'It is ours and no longer wanted: it will be deleted.' };
  if (observed !== undefined || known.gates.has(id))
    return { state: 'there', sentence: "It is there, and somebody else's: it only gates others." };
  if (known.needed.has(id)) {
    const sentence = missingGateSentence(id) ?? 'Items of this box stand on it, and it is not there.';
    return { state: 'missing', sentence };
  }
  const mend =
    '`branchbox explain` without an item lists every id of this box (for programs: `branchbox explain --json`)';
  return { state: 'unknown', sentence: 'No item of this box has this id.', mend };
}

function needState(need: ItemId, known: Index): Explanation['needs'][number] {
  if (known.blocked.has(need)) return { id: need, state: 'blocked' };
  if (known.observed.has(need) || known.gates.has(need)) return { id: need, state: 'there' };
  const sentence = missingGateSentence(need);
  return { id: need, state: 'missing', ...(sentence === undefined ? {} : { sentence }) };
}
