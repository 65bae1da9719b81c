/** What `lab up` says while it waits: the first causes, on lines that a person reads. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseFleet } from '../../../src/lab/fleetFile.ts';
import type { BranchboxError } from '../../../src/model/errors.ts';
import type { LabNodeStatus } from '../../../src/lab/labStatus.ts';
import { awaitWorking } from '../../../src/lab/readiness.ts';
import { parseTopology, TOPOLOGIES_DIRECTORY } from '../../../src/lab/topology.ts';

const textOf = (file: string): string => readFileSync(join(TOPOLOGIES_DIRECTORY, 'default', file), 'utf8');

it('a gateway that much is awaited of has the first causes on its line, and how many more there are', async () => {
  const conditions = Array.from({ length: 40 }, (_, i) => ({
    code: 'uplink-down',
    subject: `u${i}`,
    sentence: `Uplink u${i} has no living path. ${'It says why at length. '.repeat(i === 0 ? 60 : 1)}`,
  }));
  const branch: LabNodeStatus = {
    name: 'branch1',
    role: 'branch',
    running: true,
    bootstrap: 'OPERATIONAL',
    generation: 2,
    health: 'degraded',
    conditions,
    uplinks: [],
    segments: [],
    apps: [],
    paths: [],
  };
  const said: string[] = [];
  const waiting = awaitWorking({
    clock: { nowMs: () => 0, monotonicMs: () => 1, sleep: async () => undefined },
    nodes: {
      exec: async (from) => {
        if (from !== 'branch1-red') throw new Error(`${from} is not running`);
        return { exitCode: 0, stdout: '', stderr: '' };
      },
    },
    topology: parseTopology(textOf('topology.toml'), 'default'),
    fleet: parseFleet(textOf('fleet.toml'), 'default'),
    gather: async () => ({ lab: 'x', topology: 'default', nodes: [branch] }),
    say: (line) => said.push(line),
    deadlineMs: 0,
  });
  const late = await waiting.catch((thrown: unknown) => thrown);
  expect(late).toMatchObject({ code: 'lab/not-ready' });
  // What was tried, and what could not be.
  const { problems } = late as BranchboxError;
  const unreached = problems.filter(({ message }) => message.startsWith('does not reach'));
  expect(new Set(unreached.map(({ path }) => path))).toEqual(new Set(['branch1-blue', 'branch2-red']));
  const line = said.find((one) => one.startsWith('branch1: ')) ?? '';
  expect(line).toMatch(
    /^branch1: has no path yet, segment red is not up, segment blue is not up, .*, and \d+ more$/,
  );
  expect(line).toContain('Uplink u0 has no living path.');
  expect(line.length).toBeLessThan(400);
  expect(said).toContain('hub: is not running');
});
