/** Ports of a gateway of the lab, held against the hardware models that name them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseHardwareModel } from '../../../src/agent/hardware.ts';
import { hardwareModelOf, portProblems } from '../../../src/lab/nodePorts.ts';

const MODELS = join(import.meta.dirname, '../../../firmware/models');
const labels = (model: string): string[] =>
  parseHardwareModel(readFileSync(join(MODELS, `${model}.toml`), 'utf8'), model).ports.map(
    ({ label }) => label,
  );
const node = (ports: readonly string[], machine: 'namespace' | 'vm' = 'namespace') => ({
  machine,
  uplinks: ports.filter((port) => port.startsWith('wan')).map((port) => ({ port })),
  lan: ports.filter((port) => !port.startsWith('wan')),
});

it('each model names what it is chosen for, and no port is taken that none names', () => {
  for (const model of ['lab', 'lab-wide']) {
    expect(hardwareModelOf(node(labels(model)))).toBe(model);
    expect(portProblems(node(labels(model)))).toEqual([]);
    for (const port of labels(model)) expect(labels('lab-wide')).toContain(port);
  }
  expect(hardwareModelOf(node(labels('qemu'), 'vm'))).toBe('qemu');
  expect(portProblems(node(labels('qemu'), 'vm'))).toEqual([]);
});

it.each(['wan3', 'lan5', 'lan32'])('a node with a %s is of the wide model', (port) => {
  expect(hardwareModelOf(node(['wan1', port]))).toBe('lab-wide');
});

it.each(['wan0', 'wan9', 'lan33', 'dsl', 'wan10'])('nobody would know which interface %s is', (port) => {
  expect(portProblems(node([port]))).toEqual([
    `a gateway of the lab has no port ${port}: it has wan1 to wan8 and lan1 to lan32`,
  ]);
});
