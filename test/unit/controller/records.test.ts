/** The audit log in SQLite, held against a box that floods it: bounded, and nobody else's entries go. */
import { expect, it } from 'vitest';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';

it("keeps the last entries of a box, and everybody else's", async () => {
  const { records } = openSqliteStore(':memory:');
  const entry = (actor: string, atMs: number) =>
    records.audit({ atMs, actor, action: 'a', subject: 's', detail: '' });
  await entry('admin', 1);
  await entry('serial:SN-2', 2);
  for (let atMs = 3; atMs < 1_103; atMs += 1) await entry('serial:SN-1', atMs);
  const kept = await records.auditPage({ limit: 10_000 });
  expect(kept.slice(0, 3).map(({ actor, atMs }) => [actor, atMs])).toEqual([
    ['admin', 1],
    ['serial:SN-2', 2],
    ['serial:SN-1', 103],
  ]);
  expect(kept.length).toBe(1_002);
});
