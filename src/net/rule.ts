/**
 * Owns policy rules of our own protocol (98).
 */
import { z } from 'zod';
import { KERNEL_PROTOCOL } from '../model/ids.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { Outcome } from '../reconcile/item.ts';
import type { System } from '../system/ports.ts';
import { ALREADY_GONE, runBatch } from './batch.ts';
import { checkDump, parseDump, readDump } from './dump.ts';
import { rule } from './itemIds.ts';
import type { IpShow } from './ipShow.ts';
import type { RuleItem, RuleSpec } from './items.ts';
import { isIpv6, MAX_U32, numberWord, prefixWord } from './word.ts';

const KernelRules = z.array(
  z.object({
    priority: z.number(),
    src: z.string(),
    srclen: z.number().optional(),
    dst: z.string().optional(),
    dstlen: z.number().optional(),
    fwmark: z.string().optional(),
    fwmask: z.string().optional(),
    table: z.string().optional(),
    action: z.string().optional(),
    protocol: z.string().optional(),
  }),
);
type KernelRule = z.output<typeof KernelRules>[number];
/** FR_ACT_UNREACHABLE, linux/fib_rules.h: `-N` prints actions as numbers. */
const UNREACHABLE = '7';

export function createRuleDriver({
  runner,
  ip,
}: Pick<System, 'runner'> & { readonly ip: IpShow }): Driver<RuleItem> {
  /** Each family has a list of its own. */
  const batch = async (items: readonly RuleItem[], verb: 'add' | 'del', signal: AbortSignal) => {
    const byId = new Map<string, Outcome>();
    for (const family of ['-4', '-6'] as const) {
      const outcomes = await runBatch({
        runner,
        tool: { command: 'ip', family },
        items: items.filter((item) => familyOf(item.spec) === family),
        render: (item) => [renderRule(verb, item.spec)],
        signal,
        ...(verb === 'del' ? { fine: ALREADY_GONE } : {}),
      });
      for (const outcome of outcomes) byId.set(outcome.id, outcome);
    }
    return items.flatMap((item) => byId.get(item.id) ?? []);
  };
  return {
    async observe(signal) {
      // `ip` shows IPv4's unless told otherwise, and is told so for a whole batch alone.
      const both = await Promise.all([
        ip.show('rule show', signal).then((value) => checkDump(value, KernelRules, 'ip rule show')),
        readDump(runner, 'ip', ['-6', '-j', '-N', 'rule'], KernelRules, signal),
      ]);
      return [...observed(both[0], '-4'), ...observed(both[1], '-6')];
    },
    create: (items, signal) => batch(items, 'add', signal),
    /** The kernel cannot change a rule. The new one first: between the two both stand, never neither. */
    async modify(changes, signal) {
      const added = await batch(
        changes.map((change) => change.to),
        'add',
        signal,
      );
      const ok = new Set(added.filter((outcome) => outcome.ok).map((outcome) => outcome.id));
      const stale = changes.map((change) => change.from).filter((item) => ok.has(item.id));
      const removed = new Map((await batch(stale, 'del', signal)).map((outcome) => [outcome.id, outcome]));
      return added.map((outcome) => removed.get(outcome.id) ?? outcome);
    },
    delete: (items, signal) => batch(items, 'del', signal),
    needsRecreate: () => false,
  };
}

type FamilyOption = '-4' | '-6';

const familyOf = (spec: RuleSpec): FamilyOption =>
  spec.family === 6 || isIpv6(spec.from ?? '') || isIpv6(spec.to ?? '') ? '-6' : '-4';

/** Pure. */
export function renderRule(verb: 'add' | 'del', spec: RuleSpec): string {
  const words = [`rule ${verb} pref ${numberWord(spec.preference, MAX_U32)}`];
  if (spec.from !== undefined) words.push(`from ${prefixWord(spec.from)}`);
  if (spec.to !== undefined) words.push(`to ${prefixWord(spec.to)}`);
  if (spec.mark !== undefined) words.push(`fwmark 0x${Number(numberWord(spec.mark, MAX_U32)).toString(16)}`);
  words.push(
    spec.action.kind === 'lookup' ? `lookup ${numberWord(spec.action.table, MAX_U32)}` : 'unreachable',
  );
  words.push(`protocol ${KERNEL_PROTOCOL}`);
  return words.join(' ');
}

/** Pure. */
export const parseRules = (text: string, family: FamilyOption): readonly RuleItem[] =>
  observed(parseDump(text, KernelRules, 'ip rule'), family);

function observed(rules: readonly KernelRule[], family: FamilyOption): readonly RuleItem[] {
  return rules
    .filter((found) => found.protocol === String(KERNEL_PROTOCOL))
    .map((found) => {
      const from = selectorOf(found.src, found.srclen);
      const to = selectorOf(found.dst, found.dstlen);
      return rule({
        preference: found.priority,
        ...(family === '-6' && from === undefined && to === undefined ? { family: 6 } : {}),
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
        ...(found.fwmark === undefined ? {} : { mark: Number(found.fwmark) }),
        action:
          found.action === UNREACHABLE
            ? { kind: 'unreachable' }
            : { kind: 'lookup', table: Number(found.table ?? 0) },
      });
    });
}

/** Hosts are printed without a length, as they are written in specs. */
function selectorOf(address: string | undefined, length: number | undefined): string | undefined {
  if (address === undefined || address === 'all') return undefined;
  return length === undefined ? address : `${address}/${length}`;
}
