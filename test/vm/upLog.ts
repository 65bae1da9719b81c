/**
 * Owns what `lab up --vm` said and when: its lines are the stages of the machine's first boot. Reading is pure.
 */
import { join } from 'node:path';
import { root } from '../lab/mainjob/lab.ts';

export const UP_LOG = join(root, 'out/test/vm-lab-up.log');

export interface StageTime {
  readonly stage: string;
  readonly sinceSwitchedOnMs: number;
}

/** How long a boot takes on this host, from power on. */
export interface Horizon {
  readonly multiUserMs: number;
  readonly inServiceMs: number;
}

/** Lines such as `  124.9 s  branch2: kernel runs`, counted from the line that says the machine was switched on. */
export function stageTimes(log: string, node: string): readonly StageTime[] {
  const lines = log.split('\n').flatMap((line) => {
    const [, seconds, text] = /^ *([\d.]+) s {2}(.*)$/.exec(line) ?? [];
    return seconds === undefined || text === undefined ? [] : [{ atMs: Number(seconds) * 1000, text }];
  });
  const on = lines.find(({ text }) => text.startsWith(`${node} is switched on`));
  if (on === undefined) return [];
  const own = `${node}: `;
  const stages = new Map<string, number>();
  for (const { atMs, text } of lines) {
    const stage = text.startsWith(own) ? text.slice(own.length) : undefined;
    if (stage !== undefined && !stage.includes(',')) stages.set(stage, stages.get(stage) ?? atMs - on.atMs);
  }
  const works = lines.find(({ text }) => text.endsWith(' works'));
  if (works !== undefined) stages.set('hosts and apps are reached', works.atMs - on.atMs);
  return [...stages].map(([stage, sinceSwitchedOnMs]) => ({ stage, sinceSwitchedOnMs }));
}

/** How long the machine's first boot took, as a measure of this host. */
export function horizonOf(log: string, node: string): Horizon {
  const times = new Map(
    stageTimes(log, node).map(({ stage, sinceSwitchedOnMs }) => [stage, sinceSwitchedOnMs]),
  );
  const [multiUserMs, inServiceMs] = [times.get('multi-user'), times.get('in service')];
  if (multiUserMs === undefined || inServiceMs === undefined)
    throw new Error(`${UP_LOG} does not tell when ${node} was at multi-user and in service`);
  return { multiUserMs, inServiceMs };
}
