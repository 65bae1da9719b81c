/**
 * docs/schema holds the JSON Schema of every read-out as committed: a change of one is a change of an interface and
 * shows in review. UPDATE_SCHEMA=1 writes them.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { READOUTS } from './readouts.ts';

const directory = new URL('../../../docs/schema/', import.meta.url);

describe('the schema of a read-out', () => {
  it.each(READOUTS.map(({ name, schema }) => ({ name, schema })))(
    '$name is as committed',
    ({ name, schema }) => {
      const text = `${JSON.stringify(z.toJSONSchema(schema, { io: 'output', target: 'draft-2020-12' }), null, 2)}\n`;
      const file = new URL(`${name}.json`, directory);
      if (process.env['UPDATE_SCHEMA'] === '1') writeFileSync(file, text);
      expect(readFileSync(file, 'utf8')).toBe(text);
    },
  );

  it('is committed for nothing that no longer exists', () => {
    expect(readdirSync(directory).toSorted()).toEqual(READOUTS.map(({ name }) => `${name}.json`).toSorted());
  });
});
