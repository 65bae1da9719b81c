/** The read-outs as a script gets them, held against the schemas of docs/schema. */
import { describe, expect, it } from 'vitest';
import { tryDecode } from '../../../src/model/decode.ts';
import { ItemList } from '../../../src/model/localStatus.ts';
import { READOUTS } from '../../golden/schema/readouts.ts';
import { inNode, lab, tryIn, until } from './lab.ts';

describe('what scripts read', () => {
  it.each(READOUTS.filter(({ command }) => command !== undefined))(
    '$name fits its committed schema',
    async ({ schema, command = [] }) => {
      // `lab status` ends with 1 while a box is not well: another test may just have healed something.
      const text = await until(`${command.join(' ')} ends well`, () =>
        command[0] === 'lab' ? lab(...command.slice(1)) : inNode('branch1', ...command),
      );
      const decoded = tryDecode(schema, JSON.parse(text));
      expect(decoded.ok ? [] : decoded.problems).toEqual([]);
    },
  );

  it('is refused in words and with a code where an item is unknown', async () => {
    const ended = await tryIn('branch1', ['branchbox', 'explain', 'link:nothing-of-this-name']);
    expect(ended.exitCode).toBe(1);
    expect(ended.stdout).toMatch(/No item of this box has this id/);
    expect(ended.stdout).toMatch(/mend: `branchbox explain` without an item lists/);
  });

  it('names every item of the box, each of which can be explained', async () => {
    const { items } = ItemList.parse(JSON.parse(await inNode('branch1', 'branchbox', 'explain', '--json')));
    const bridge = items.find(({ id }) => id === 'link:br-10010');
    expect(bridge).toMatchObject({ state: 'as-wanted' });
    const text = await inNode('branch1', 'branchbox', 'explain');
    for (const { id } of items) expect(text).toContain(id);
    const last = items.at(-1)?.id ?? '';
    expect(await inNode('branch1', 'branchbox', 'explain', last)).toContain(last);
  });

  it.each(['status', 'plan', 'explain', 'check', 'bootstrap status'])(
    '%s --help says how it is used, with an example',
    async (words) => {
      const text = await inNode('branch1', 'branchbox', ...words.split(' '), '--help');
      expect(text).toMatch(/Usage: branchbox/);
      expect(text).toMatch(/example: branchbox /);
    },
  );
});
