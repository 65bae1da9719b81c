/**
 * What firmware's own scripts read of a hardware model, by lines and without a TOML parser, is what the agent decodes: of
 * each file that is there, so that a model which is written another way fails here and not on the box.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseHardwareModel } from '../../../src/agent/hardware.ts';

const FIRMWARE = join(import.meta.dirname, '../../../firmware');
const MODELS = join(FIRMWARE, 'models');
const APU2 = readFileSync(join(MODELS, 'pcengines-apu2.toml'), 'utf8');
const RESET_BUTTON = readFileSync(join(FIRMWARE, 'reset-button'), 'utf8');
/** Of firmware/consoles: prints a terminal and its speed, or `-`, a line. */
const CONSOLES = /awk -F '"' '\n(.*?)\n' "\$file"/s.exec(readFileSync(join(FIRMWARE, 'consoles'), 'utf8'));

const consolesOf = (text: string): readonly string[] =>
  execFileSync('awk', ['-F', '"', CONSOLES?.[1] ?? ''], { input: text, encoding: 'utf8' })
    .split('\n')
    .filter((line) => line !== '');

/** Whether firmware/reset-button takes an input device of that name for the button. */
function isButton(text: string, input: string): boolean {
  const root = mkdtempSync(join(tmpdir(), 'bbt-button-'));
  const put = (path: string, content: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  try {
    put('etc/branchbox/factory/model', 'box\n');
    put('usr/lib/branchbox/models/box.toml', text);
    put('sys/class/input/event0/device/name', `${input}\n`);
    const env = { ...process.env, RESET_BUTTON_ROOT: root };
    return spawnSync(join(FIRMWARE, 'reset-button'), ['--is', 'event0'], { env }).status === 0;
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** Of firmware/reset-button: which key for how long, as it reads them. */
function buttonOf(text: string): readonly number[] {
  const root = mkdtempSync(join(tmpdir(), 'bbt-button-'));
  try {
    for (const [path, content] of [
      ['etc/branchbox/factory/model', 'box\n'],
      ['usr/lib/branchbox/models/box.toml', text],
    ] as const) {
      mkdirSync(join(root, path, '..'), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    const subs = ['model', 'line'].map(
      (name) => new RegExp(`^sub ${name} \\{.*?^\\}`, 'ms').exec(RESET_BUTTON)?.[0],
    );
    const script = `our $root = shift; my %found = model(); print "$found{code} ", $found{holdSeconds} // 10; ${subs.join('\n')}`;
    return execFileSync('perl', ['-e', script, root], { encoding: 'utf8' }).split(' ').map(Number);
  } finally {
    rmSync(root, { recursive: true });
  }
}

describe.each(readdirSync(MODELS))('%s', (file) => {
  const text = readFileSync(join(MODELS, file), 'utf8');
  const model = parseHardwareModel(text, file);

  it('has its status screen on each console', () => {
    expect(consolesOf(text)).toEqual(model.consoles.map(({ tty, baud = '-' }) => `${tty} ${baud}`));
  });

  it('is reset by its button, and by none where it has none', () => {
    const { resetButton } = model;
    expect(isButton(text, resetButton?.input ?? 'gpio-keys')).toBe(resetButton !== undefined);
    expect(isButton(text, 'AT Translated Set 2 keyboard')).toBe(false);
    if (resetButton !== undefined)
      expect(buttonOf(text)).toEqual([resetButton.code, resetButton.holdSeconds]);
  });
});

it('a model that is written another way is noticed', () => {
  const inline = APU2.replace(/\[\[consoles\]\]\ntty = "ttyS0"\nbaud = 115200\n/, '')
    .replace('standing =', 'consoles = [{ tty = "ttyS0", baud = 115200 }]\nstanding =')
    .replace('[resetButton]\ninput =', '[resetButton]\n  input =');
  expect(parseHardwareModel(inline, 'inline')).toEqual(parseHardwareModel(APU2, 'apu2'));
  expect(consolesOf(inline)).toEqual([]);
  expect(isButton(inline, 'gpio-keys-polled')).toBe(false);
  const hexadecimal = APU2.replace('code = 408', 'code = 0x198');
  expect(parseHardwareModel(hexadecimal, 'hexadecimal')).toEqual(parseHardwareModel(APU2, 'apu2'));
  expect(buttonOf(hexadecimal)).not.toEqual(buttonOf(APU2));
});
