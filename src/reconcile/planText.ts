/**
 * Owns a plan as text for people: one line a step, `+` created, `~` modified, `-` deleted, `!` blocked; and one for each
 * kind that could not be looked at, `?`.
 * What changes in a spec is shown; a value that is long is cut. Pure.
 */
import { sameSpec } from './equal.ts';
import type { AnyItem, Plan, Step } from './item.ts';

const MAX_VALUE_CHARACTERS = 120;

/** Ends without a line feed; `nothing to do` where nothing is, as far as everything was seen. */
export function renderPlan<I extends AnyItem>(
  plan: Plan<I>,
  unseen: readonly { readonly kind: string; readonly reason: string }[] = [],
): string {
  const lines = plan.steps.map(renderStep);
  for (const { id, missing } of plan.blocked) lines.push(`! ${id} waits for ${missing.join(', ')}`);
  for (const { kind, reason } of unseen) lines.push(`? ${kind} cannot be seen: ${reason}`);
  return lines.length === 0 ? 'nothing to do' : lines.join('\n');
}

export function renderStep<I extends AnyItem>(step: Step<I>): string {
  if (step.op === 'modify') return `~ ${step.to.id} ${renderChange(step.from.spec, step.to.spec)}`;
  const because = step.because === undefined ? '' : ` (with ${step.because})`;
  if (step.op === 'delete') return `- ${step.item.id}${because}`;
  return `+ ${step.item.id} ${renderFields(step.item.spec)}${because}`;
}

function renderFields(spec: unknown): string {
  return fieldsOf(spec)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${renderValue(value)}`)
    .join(' ');
}

function renderChange(from: unknown, to: unknown): string {
  const before = new Map(fieldsOf(from));
  const after = new Map(fieldsOf(to));
  const keys = [...new Set([...before.keys(), ...after.keys()])];
  return keys
    .filter((key) => !sameSpec(before.get(key), after.get(key)))
    .map((key) => `${key}=${renderValue(before.get(key))}→${renderValue(after.get(key))}`)
    .join(' ');
}

function fieldsOf(spec: unknown): readonly (readonly [string, unknown])[] {
  if (typeof spec !== 'object' || spec === null) return [['value', spec]];
  return Object.entries(spec);
}

function renderValue(value: unknown): string {
  if (value === undefined) return 'none';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= MAX_VALUE_CHARACTERS ? text : `${text.slice(0, MAX_VALUE_CHARACTERS)}…`;
}
