/** Problems of a document whose names or values are as long as somebody liked. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decode, renderPath, tryDecode, tryJson } from '../../../src/model/decode.ts';
import { asBranchboxError } from '../../../src/model/errors.ts';

/** Of the text of an error, which goes into logs and to a person. */
const MAX_CHARS = 16 * 1024;

it('a text that is no JSON is nothing, and any that is its value', () => {
  expect(['', '{', '{"a":1', 'no', '\u0000'].map(tryJson)).toEqual(
    Array.from({ length: 5 }, () => undefined),
  );
  expect(['{"a":1}', 'null', '0', '""'].map(tryJson)).toEqual([{ a: 1 }, null, 0, '']);
});

describe('a problem', () => {
  it('is named by the path that a person would look up', () => {
    expect(renderPath(['uplinks', 1, 'slot'])).toBe('$.uplinks[1].slot');
  });

  it('at a name without end is told by its beginning and end', () => {
    const [problem] = [tryDecode(z.strictObject({}), { [`a${'x'.repeat(70_000)}z`]: 1 })].flatMap(
      (decoded) => (decoded.ok ? [] : decoded.problems),
    );
    expect(problem?.path).toMatch(/^\$\.ax{30}…x{31}z$/);
  });

  it('and all others of one document are a text that can be read', () => {
    const names = Array.from({ length: 500 }, (_none, index) => `${index}${'y'.repeat(2000)}`);
    const input = { a: { b: Object.fromEntries(names.map((name) => [name, 1])) } };
    const schema = z.object({ a: z.object({ b: z.strictObject({}) }) });
    let told = 0;
    try {
      decode(schema, input, 'it');
    } catch (thrown) {
      const { message, problems } = asBranchboxError(thrown);
      told = JSON.stringify([message, problems]).length;
    }
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThan(MAX_CHARS);
  });
});
