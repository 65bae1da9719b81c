/**
 * Owns reading one page of a table that grows at its end. Does not own any table.
 */
import type { z } from 'zod';
import type { Database } from './database.ts';
import type { Page } from './entities.ts';

/** Oldest first. `select` ends before WHERE; `key` is the column that grows. */
export function readPage<S extends z.ZodType>(
  database: Database,
  row: S,
  from: {
    readonly select: string;
    readonly key: string;
    /** Of what: a column, and what it must hold. */
    readonly only?: readonly [column: string, value: string];
  },
  { limit, after, before }: Page,
): z.output<S>[] {
  const { select, key, only } = from;
  const conditions = [`${key} > ?`, `${key} < ?`, ...(only === undefined ? [] : [`${only[0]} = ?`])];
  const order = after === undefined ? 'DESC' : 'ASC';
  const rows = database.all(
    row,
    `${select} WHERE ${conditions.join(' AND ')} ORDER BY ${key} ${order} LIMIT ?`,
    after ?? -1,
    before ?? Number.MAX_SAFE_INTEGER,
    ...(only === undefined ? [] : [only[1]]),
    limit,
  );
  return after === undefined ? rows.reverse() : rows;
}
