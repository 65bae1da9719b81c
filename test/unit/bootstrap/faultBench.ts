/**
 * Owns what the tests of faults stand on: one controller a file, whose answers a test bends, and before each test good
 * answers again and a box fresh from the factory. Does not own any fault.
 */
import { afterAll, beforeAll, beforeEach } from 'vitest';
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

/** What the good controller tells a box of its owner. */
export const ownerOf = ({ authorities, controller }: FaultBench) => ownerRecord(authorities, controller.port);

/** Conveyed information, signed by the owner or by whoever is named. */
export const conveyedBy = (
  { authorities }: FaultBench,
  content: Uint8Array,
  by: Credential = authorities.ownerSigner,
): Uint8Array => signConveyed({ content, format: 'json', owner: by });
