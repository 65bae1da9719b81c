/** Every command and group of commands says how it is used with an example, and each example is one that is taken. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { matchPorts, parseHardwareModel } from '../../../src/agent/hardware.ts';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { fitWhole, helpOf, loadCommandLine, nameOf, withSubcommands } from './commandLine.ts';

const root = await loadCommandLine();
const commands = withSubcommands(root).map((command) => ({ name: nameOf(command), command }));

it('all of them are looked at', () => {
  const names = commands.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(COMMANDS.map(({ name }) => `branchbox ${name}`)));
  expect(names).toEqual(expect.arrayContaining(['branchbox', 'branchbox fleet firmware upload']));
});

it.each(commands)(
  '$name --help has an example of its own words, and it would be taken',
  ({ name, command }) => {
    const examples = [...helpOf(command).matchAll(/^example: (.+)$/gm)].map(([, line]) => line ?? '');
    expect(examples).not.toEqual([]);
    for (const example of examples) {
      const own = shellCommands(example).filter((words) => words[0] === 'branchbox');
      expect(own, example).not.toEqual([]);
      for (const [, ...words] of own) {
        const { command: meant } = fitWhole(root, words);
        expect(`${nameOf(meant)} `, example).toContain(`${name} `);
        // Of a group that does nothing by itself, an example is of one below it.
        expect(meant.commands, example).toEqual([]);
      }
    }
  },
);

it.each([
  ['lab frob', 'branchbox lab takes no "frob"'],
  ['lab cut branch1 internet --lose 20', 'branchbox lab cut has no --lose'],
  ['lab cut branch1', 'branchbox lab cut needs uplink'],
  ['signer serve --state /tmp/signer', 'branchbox signer serve needs --socket <path>'],
  ['lab exec branch1', 'branchbox lab exec needs command'],
])('%s would not be taken', (words, why) => {
  expect(() => fitWhole(root, words.split(' '))).toThrow(why);
});

/** Words of each command of a line, without what its output goes to. */
function shellCommands(line: string): readonly (readonly string[])[] {
  return line.split(/\s(?:&&|\||;)\s/).map((one) => (one.split(/\s>\s?/)[0] ?? '').trim().split(/\s+/));
}

it('the example of a factory identity names a model by which a box on a desk has ports', () => {
  const identity = commands.find(({ name }) => name === 'branchbox manufacturer identity');
  const help = identity === undefined ? '' : helpOf(identity.command);
  const name = /^example: .* --model (\S+)/m.exec(help)?.[1] ?? '';
  const file = new URL(`../../../firmware/models/${name}.toml`, import.meta.url);
  const nic = {
    ifname: 'enp1s0',
    device: '/sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0/net/enp1s0',
    devPort: 0,
    isWired: true,
    isModem: false,
    macAddress: undefined,
    carrier: true,
  };
  const ports = matchPorts(parseHardwareModel(readFileSync(file, 'utf8'), name), [nic]);
  expect(ports.map(({ ifname }) => ifname)).toContain('enp1s0');
});

it('says its version', async () => {
  const program = await loadCommandLine();
  let text = '';
  program.configureOutput({ writeOut: (words) => (text += words) });
  await expect(program.parseAsync(['--version'], { from: 'user' })).rejects.toMatchObject({ exitCode: 0 });
  expect(text).toMatch(/^\d+\.\d+\.\d+\n$/);
});
