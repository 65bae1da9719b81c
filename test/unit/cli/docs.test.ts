/** The commands that README and docs show are ones that there are, with options that they have. */
import { readdirSync, readFileSync } from 'node:fs';
import { parse as parseToml } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { Fleet } from '../../../src/model/fleet.ts';
import { commandsIn } from './docsCommands.ts';
import { fit, loadCommandLine, nameOf, withSubcommands } from './commandLine.ts';

const ROOT = new URL('../../../', import.meta.url);
const root = await loadCommandLine();
const pages = ['README.md', ...readdirSync(new URL('docs', ROOT)).map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, text: readFileSync(new URL(name, ROOT), 'utf8') }));

it.each(pages)('$name shows no command that there is not', ({ text }) => {
  const wrong = commandsIn(text, pathOf).flatMap((words) => {
    try {
      fit(root, words);
      return [];
    } catch (thrown) {
      return [`${words.join(' ')}: ${thrown instanceof Error ? thrown.message : String(thrown)}`];
    }
  });
  expect(wrong).toEqual([]);
  const scripts = [...text.matchAll(/npm run ([a-z:]+)/g)].map(([, script]) => script ?? '');
  expect(scripts.filter((script) => !Object.hasOwn(packageJson.scripts, script))).toEqual([]);
});

it('the fleet that the page of the controller shows would be taken', () => {
  const page = pages.find(({ name }) => name === 'docs/controller.md')?.text ?? '';
  const shown = /^```toml\n(# fleet\.toml; .*?)^```/ms.exec(page)?.[1] ?? '';
  const fleet = Fleet.parse(parseToml(shown));
  expect(fleet.gateways.map(({ id, apps, uplinks }) => [id, apps.length, uplinks.length])).toEqual([
    ['hub', 0, 1],
    ['branch1', 1, 2],
  ]);
});

it('every command is shown on some page', () => {
  const shown = pages
    .flatMap(({ text }) => commandsIn(text, pathOf))
    .map((words) => nameOf(fit(root, words).command));
  const commands = withSubcommands(root)
    .filter((command) => command.commands.length === 0)
    .map(nameOf)
    // The same as its group, which is.
    .filter((name) => name !== 'branchbox identity run');
  expect(commands.filter((name) => !shown.includes(name))).toEqual([]);
});

it('what is shown is found: commands of each page that has some', () => {
  const count = (name: string) =>
    commandsIn(pages.find((page) => page.name === name)?.text ?? '', pathOf).length;
  expect(count('README.md')).toBeGreaterThan(10);
  expect(count('docs/lab.md')).toBeGreaterThan(30);
  expect(count('docs/controller.md')).toBeGreaterThan(30);
});

describe('of a text', () => {
  it.each([
    ['a span `branchbox fleet deny SERIAL`, and one `that is none`', ['fleet deny SERIAL']],
    ['a span over `branchbox bootstrap\nstatus [--json]`', ['bootstrap status --json']],
    ['`lab cut --carrier`', ['lab cut --carrier']],
    ['`branchbox status|plan`', ['status', 'plan']],
    [
      '| a \\| b | `branchbox fleet firmware list \\| remove V` |',
      ['fleet firmware list', 'fleet firmware remove V'],
    ],
    ['`branchbox fleet show > FILE`', ['fleet show']],
    ['`branchbox/update/` and `branchbox-look`', []],
    ['```\n./branchbox lab up   # makes it\n```', ['lab up']],
    ['```\nlab cut NODE     dark\n    [--loss P]   of it\n```', ['lab cut NODE', 'lab cut --loss P']],
    ['```\nbranchbox fleet usb SN --out D \\\n  --api URL\n```', ['fleet usb SN --out D --api URL']],
    ['```\nlab exec NODE -- branchbox explain\n```', ['lab exec NODE -- branchbox explain', 'explain']],
  ])('%j', (text, commands) => {
    expect(commandsIn(text, pathOf).map((words) => words.join(' '))).toEqual(commands);
  });
});

/** How many of the words name a command. */
function pathOf(words: readonly string[]): number {
  let command = root;
  for (const [at, word] of words.entries()) {
    const below = command.commands.find((one) => one.name() === word);
    if (below === undefined) return at;
    command = below;
  }
  return words.length;
}
