/**
 * Owns a directory for one test, gone when the test is. Does not own what several tests share.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Called within a test: it is the test's end that removes it. */
export function ownDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'branchbox-test-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
