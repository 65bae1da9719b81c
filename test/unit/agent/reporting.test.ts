/** What of a box's status is told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createReporting, type StatusBody } from '../../../src/agent/reporting.ts';
import { MESSAGE_MAX_BYTES } from '../../../src/model/mqtt.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import type { Clock } from '../../../src/system/ports.ts';
import { silentLog } from '../../fakes/silentLog.ts';
import { statusWith } from '../controller/statusFixture.ts';

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'bbt-reporting-'))));
afterEach(() => rmSync(directory, { recursive: true }));

/** Whatever waits for a time waits for ever. */
const clock: Clock = {
  nowMs: () => 1,
  monotonicMs: () => 1,
  sleep: (durationMs, signal) =>
    new Promise((resolve, reject) => {
      if (durationMs === 0) resolve();
      if (signal?.aborted === true) reject(signal.reason);
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
};

/** What a box with this model tells at its first look, and that it ends when it is to, in the midst of that. */
async function toldOnce(model: string): Promise<readonly string[]> {
  const {
    schema: _,
    sequence: __,
    sentAtMs: ___,
    ...least
  } = statusWith('branch1', { sequence: 1, seed: 1 });
  const body: StatusBody = { ...least, facts: { ...least.facts, model } };
  const ending = new AbortController();
  const told: string[] = [];
  const reporting = await createReporting({
    read: async () => body,
    onStatus: () => undefined,
    onTurn: () => ending.abort(),
    send: async (_topic, text) => {
      told.push(text);
      return true;
    },
    queue: { add: () => undefined, pending: () => [], stored: () => undefined },
    files: createFiles(),
    sequencePath: join(directory, 'sequence'),
    clock,
    log: silentLog,
  });
  await reporting.run(ending.signal);
  return told;
}

// The controller's connection takes no larger one, and the broker says nothing of what it then drops.
it('a status is told up to its cap in bytes, however many characters that is', async () => {
  const room = MESSAGE_MAX_BYTES.status - 4096;
  expect(await toldOnce('x'.repeat(room))).toHaveLength(1);
  expect(await toldOnce('\u00e4'.repeat(room / 2 + 4096))).toEqual([]);
});
