/**
 * Owns the order of test files: by path, the same on every machine. Vitest's own is by how long each took here before,
 * and files that share a lab build on what stands in it.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const compare = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

export class ByPath extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted(
      (a, b) => compare(a.project.name, b.project.name) || compare(a.moduleId, b.moduleId),
    );
  }
}
