/** The SQLite file, held against what SQLite does by itself and against files that this version did not write. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openDatabase } from '../../../src/controller/store/database.ts';

const directory = mkdtempSync(join(tmpdir(), 'bbt-database-'));
afterAll(() => rmSync(directory, { recursive: true }));

it('says why a transaction failed, also where SQLite has ended it already', () => {
  const database = openDatabase(':memory:');
  database.run('PRAGMA max_page_count = 1');
  const fill = () =>
    database.transaction(() => {
      const sql = 'INSERT INTO meta (key, value) VALUES (?, ?)';
      return database.run(sql, 'k', 'x'.repeat(1_000_000));
    });
  expect(fill).toThrow('database or disk is full');
  database.run('PRAGMA max_page_count = 10000');
  expect(fill()).toBe(1);
});

it('is not opened by a version that does not know its tables', () => {
  const path = join(directory, 'controller.sqlite');
  const later = openDatabase(path);
  later.run('PRAGMA user_version = 1000');
  later.close();
  expect(() => openDatabase(path)).toThrow(/later version of the controller: it is at step 1000/);
});
