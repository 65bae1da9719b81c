/** Modules of hardware models: what a model names is asked for at boot, and nothing else. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseHardwareModel } from '../../../src/agent/hardware.ts';

const FIRMWARE = join(import.meta.dirname, '../../../firmware');
const MODELS = join(FIRMWARE, 'models');

describe('the modules of a hardware model', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'bbt-modules-'));
    for (const folder of ['bin', 'etc/branchbox/factory', 'usr/lib/branchbox'])
      mkdirSync(join(root, folder), { recursive: true });
    cpSync(MODELS, join(root, 'usr/lib/branchbox/models'), { recursive: true });
    writeFileSync(join(root, 'bin/systemctl'), `#!/bin/sh\necho "$@" >>${root}/asked\n`, { mode: 0o755 });
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const asked = (model: string): readonly string[] => {
    writeFileSync(join(root, 'etc/branchbox/factory/model'), model);
    execFileSync(join(FIRMWARE, 'model-modules'), [root], {
      env: { PATH: `${root}/bin:${process.env['PATH'] ?? ''}` },
      stdio: 'pipe',
    });
    return existsSync(join(root, 'asked'))
      ? readFileSync(join(root, 'asked'), 'utf8').trim().split('\n')
      : [];
  };

  it.each(readdirSync(MODELS).map((file) => file.replace(/\.toml$/, '')))('%s: all, and no more', (name) => {
    const { watchdog, resetButton } = parseHardwareModel(
      readFileSync(join(MODELS, `${name}.toml`), 'utf8'),
      name,
    );
    const modules = [watchdog?.module, resetButton?.module].filter((one) => one !== undefined);
    expect(asked(`${name}\n`)).toEqual(modules.map((one) => `--no-block start modprobe@${one}.service`));
  });

  it('of none that the factory named are those of the generic model; a name is no path', () => {
    expect(asked('')).toEqual([]);
    expect(() => asked('../../x')).toThrow(/names no hardware model/);
    expect(() => asked('of-another-version')).toThrow(/of-another-version\.toml/);
  });
});
