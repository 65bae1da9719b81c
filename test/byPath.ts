/**
 * Owns the order of test files: by path, the same on every machine, but for those that take minutes. Vitest's own is by
 * how long each took here before, and files that share a lab build on what stands in it.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** First where several run at a time: one that began last would be waited for alone. They share nothing with others. */
const LONGEST: readonly string[] = [
  'test/lab/waysIn.test.ts',
  'test/lab/move.test.ts',
  'test/lab/bootstrapPowerLoss.test.ts',
  'test/lab/bootstrap.test.ts',
  'test/lab/uplinkTest.test.ts',
  'test/lab/firmwareDisk.test.ts',
  'test/lab/units.test.ts',
];
const isLongest = ({ moduleId }: TestSpecification): boolean =>
  LONGEST.some((path) => moduleId.endsWith(`/${path}`));

const compare = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

export class ByPath extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted(
      (a, b) =>
        compare(a.project.name, b.project.name) ||
        Number(isLongest(b)) - Number(isLongest(a)) ||
        compare(a.moduleId, b.moduleId),
    );
  }
}
