/** The table of errors, held against docs/errors.md; secrets, held against every way to print one. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  asBranchboxError,
  BranchboxError,
  ERROR_CODES,
  isErrorCode,
  renderError,
} from '../../../src/model/errors.ts';
import { Secret } from '../../../src/model/secret.ts';

describe('the table of errors', () => {
  it('is told by docs/errors.md row by row', () => {
    const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `([^`]+)` \| (\S+) \| ([^|]+) \| ([^|]+) \|$/gm)];
    const documented = rows.map(([, code, retry, title]) => `${code} | ${retry} | ${title?.trim()}`);
    const inCode = Object.entries(ERROR_CODES).map(
      ([code, entry]) => `${code} | ${entry.retry} | ${entry.title}`,
    );
    expect(documented).toEqual(inCode);
    for (const row of rows) expect(row[4]?.trim().length, `${row[1]} has no mend`).toBeGreaterThan(5);
  });

  it('renders code, sentence, problems and mend', () => {
    const error = new BranchboxError('model/invalid', {
      message: 'the desired state has 1 problem',
      problems: [{ path: '$.spec.vtep', message: 'is outside the range' }],
      mend: 'correct it',
    });
    expect(renderError(error)).toBe(
      'model/invalid: the desired state has 1 problem\n  at $.spec.vtep: is outside the range\n  mend: correct it',
    );
    expect(error.retry).toBe('never');
  });

  it('knows its own codes, and no word that any object answers to', () => {
    expect(['frr/rejected', 'frr/of-tomorrow', 'toString', '__proto__', ''].filter(isErrorCode)).toEqual([
      'frr/rejected',
    ]);
  });

  it('keeps a foreign error as the cause', () => {
    const foreign = new TypeError('x is not a function');
    const ours = asBranchboxError(foreign);
    expect(ours.code).toBe('internal');
    expect(ours.cause).toBe(foreign);
    expect(asBranchboxError(ours)).toBe(ours);
  });
});

describe('a secret', () => {
  it('shows its value only when asked by name', async () => {
    const { inspect } = await import('node:util');
    const secret = new Secret('hunter2');
    const shown = [String(secret), JSON.stringify({ secret }), inspect({ secret }), secret.toString()];
    for (const text of shown) expect(text).not.toContain('hunter2');
    expect(secret.reveal()).toBe('hunter2');
  });
});
