/** What time it is, by what is known of it: the agent has no more than this to judge dates by. */
import { expect, it } from 'vitest';
import {
  AGREEMENT_MS,
  basisOf,
  judgedMs,
  type KnownTime,
  SANE_AHEAD_MS,
} from '../../../src/model/knownTime.ts';

const NOW_MS = Date.UTC(2026, 5, 1);
const In1970 = 86_400_000;
const In2045 = Date.UTC(2045, 0, 1);
/** Ten seconds ago, by the machine's count. */
const told = (momentMs: number) => ({ momentMs: momentMs - 10_000, monotonicMs: 90_000 });
const FLOOR = NOW_MS - 30 * 86_400_000;
const known = (more: Partial<Record<'floor' | 'witness' | 'hardware', number>> = {}): KnownTime => ({
  schema: 1,
  floor: told(more.floor ?? FLOOR),
  ...(more.witness !== undefined && { witness: told(more.witness) }),
  ...(more.hardware !== undefined && { hardware: told(more.hardware) }),
});

it.each<[string, KnownTime, number, number, ReturnType<typeof basisOf>]>([
  ['a clock that is right', known(), NOW_MS, NOW_MS, 'system'],
  ['a clock that is right, and a witness', known({ witness: NOW_MS + 60_000 }), NOW_MS, NOW_MS, 'witness'],
  ['1970 and nothing but a floor', known(), In1970, FLOOR, 'floor'],
  ['1970 and a witness', known({ witness: NOW_MS }), In1970, NOW_MS, 'witness'],
  ['1970 and a sane hardware clock', known({ hardware: NOW_MS }), In1970, NOW_MS, 'floor'],
  ['1970 and a hardware clock behind the floor', known({ hardware: FLOOR - 1 }), In1970, FLOOR, 'floor'],
  [
    '1970 and a hardware clock far ahead',
    known({ hardware: FLOOR + SANE_AHEAD_MS + 1 }),
    In1970,
    FLOOR,
    'floor',
  ],
  ['2045 and no witness: nothing says that it is wrong', known(), In2045, In2045, 'system'],
  ['2045 and a witness', known({ witness: NOW_MS }), In2045, NOW_MS, 'witness'],
  [
    'a witness, and a clock that time servers set since',
    known({ witness: NOW_MS }),
    NOW_MS + AGREEMENT_MS,
    NOW_MS + AGREEMENT_MS,
    'witness',
  ],
  ['a witness behind the floor', known({ witness: FLOOR - 5 }), In1970, FLOOR, 'witness'],
])('%s', (_, record, wallMs, expected, basis) => {
  const now = { wallMs, monotonicMs: 100_000 };
  expect(judgedMs(record, now)).toBe(expected);
  expect(basisOf(record, now)).toBe(basis);
});

it('goes on by the machine’s own count while the clock stands', () => {
  const later = { wallMs: In1970, monotonicMs: 100_000 + 3_600_000 };
  expect(judgedMs(known({ witness: NOW_MS }), later)).toBe(NOW_MS + 3_600_000);
  expect(judgedMs(known(), later)).toBe(FLOOR + 3_600_000);
});
