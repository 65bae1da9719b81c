/** What the command line shows is read by people at a terminal, whoever's words they are. */
import { expect, it } from 'vitest';
import { spelledOut } from '../../../src/cli/terminal.ts';

it('what a terminal would obey is spelled out, and a document says the same', () => {
  const words = 'a\u001b[2Jb\u009b2Jc\u007fd\re\n\tf\u00e9';
  expect(spelledOut(words)).toBe('a\\u001b[2Jb\\u009b2Jc\\u007fd\\u000de\n\tf\u00e9');
  expect(JSON.parse(spelledOut(JSON.stringify({ words })))).toEqual({ words });
  // A fleet that was written on Windows stays TOML.
  expect(spelledOut('id = "x"\r\n')).toBe('id = "x"\r\n');
});

it('what would be shown in another order than it stands is spelled out, and other scripts are left alone', () => {
  expect(spelledOut('ok\u202edeliaf\u2066x')).toBe('ok\\u202edeliaf\\u2066x');
  expect(spelledOut('שלום Ørsted 网关')).toBe('שלום Ørsted 网关');
});
