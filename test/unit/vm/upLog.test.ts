import { describe, expect, it } from 'vitest';
import { horizonOf, stageTimes } from '../../vm/upLog.ts';

describe('the log of lab up', () => {
  const log = [
    '  10.0 s  branch2 is switched on, with a factory identity and nothing else',
    '  12.5 s  branch2: kernel runs',
    '  15.0 s  hub: in service',
    '  70.0 s  branch2: multi-user',
    '  80.0 s  branch2: path a is down, path b is down',
    ' 110.0 s  branch2: in service',
    ' 111.5 s  lab vm works',
  ].join('\n');

  it('has the stages of a machine since its power on', () => {
    expect(stageTimes(log, 'branch2')).toEqual([
      { stage: 'kernel runs', sinceSwitchedOnMs: 2500 },
      { stage: 'multi-user', sinceSwitchedOnMs: 60_000 },
      { stage: 'in service', sinceSwitchedOnMs: 100_000 },
      { stage: 'hosts and apps are reached', sinceSwitchedOnMs: 101_500 },
    ]);
    expect(horizonOf(log, 'branch2')).toEqual({ multiUserMs: 60_000, inServiceMs: 100_000 });
  });

  it('says so where a stage is missing', () => {
    expect(() => horizonOf(log.replace('multi-user', 'x'), 'branch2')).toThrow(/does not tell/);
  });
});
