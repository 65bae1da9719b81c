/**
 * Owns what the tests of faults stand on: one controller a file, whose answers a test bends, and before each test good
 * answers again and a box fresh from the factory. Does not own any fault.
 */
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { signConveyed } from '../../../src/pki/conveyed.ts';
import type { Credential } from '../../../src/pki/issue.ts';
import { type Authorities, createAuthorities, ownerRecord } from './authorities.ts';
import { type Box, createBox, type LogLine } from './box.ts';
import { type Behaviour, startController, type TestController } from './servers.ts';

export interface FaultBench {
  readonly authorities: Authorities;
  readonly controller: TestController;
  /** How the controller behaves where nothing is bent. */
  readonly good: Behaviour;
  readonly box: Box;
  /** Good answers again, from now on. */
  mend(): void;
}

/** Called once at the top of a test file; what it holds is there from the first test on. */
export function createFaultBench(): FaultBench {
  let made: Pick<FaultBench, 'authorities' | 'controller' | 'good'> | undefined;
  let box: Box | undefined;
  const there = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('the bench is there within tests only');
    return value;
  };
  const bench: FaultBench = {
    get authorities() {
      return there(made).authorities;
    },
    get controller() {
      return there(made).controller;
    },
    get good() {
      return there(made).good;
    },
    get box() {
      return there(box);
    },
    mend: () => void Object.assign(bench.controller.behaviour, bench.good),
  };
  beforeAll(async () => {
    const authorities = createAuthorities();
    const controller = await startController(authorities);
    made = { authorities, controller, good: { ...controller.behaviour } };
  });
  afterAll(() => bench.controller.close());
  beforeEach(async () => {
    bench.mend();
    bench.controller.enrolments.length = 0;
    bench.controller.asked.length = 0;
    const fresh = await createBox(bench.authorities, bench.controller.port);
    box = fresh;
    return () => fresh.remove();
  });
  return bench;
}

export const failed = (line: LogLine): boolean => line.message === 'bootstrap step failed, trying again';

/**
 * Runs until the first failure before the box has an owner; its code and fields, and proof that the box is no further
 * for it and not spoilt either.
 */
export async function refusalOfOwner(bench: FaultBench): Promise<{ code: string; text: string }> {
  const { box, controller } = bench;
  await box.run({ controller, until: (line) => failed(line) || line.fields['state'] === 'OWNED' });
  const line = box.log.findLast(failed);
  if (line === undefined) throw new Error('the box took it');
  const journal = (await box.files.readText(`${box.paths.state}/journal.json`)) ?? '';
  expect(JSON.parse(journal).entries.at(-1).state).toBe('PROVISIONAL');
  const left = await box.files.list(box.paths.state);
  expect(left.filter((name) => name !== 'journal.json' && name !== 'clock-floor')).toEqual([]);
  // With good answers it goes on.
  bench.mend();
  await box.run({ controller, until: 'LDEVID' });
  return { code: String(line.fields['code']), text: JSON.stringify(line.fields) };
}

/** What the good controller tells a box of its owner. */
export const ownerOf = ({ authorities, controller }: FaultBench) => ownerRecord(authorities, controller.port);

/** Conveyed information, signed by the owner or by whoever is named. */
export const conveyedBy = (
  { authorities }: FaultBench,
  content: Uint8Array,
  by: Credential = authorities.ownerSigner,
): Uint8Array => signConveyed({ content, format: 'json', owner: by });
