/** Why facts have no engine although there is one, and that the status says so where items wait for it. */
import { mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises';
import { release, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createFactsGatherer } from '../../../src/agent/facts.ts';
import { AGENT_PATHS, bootFindingsPath } from '../../../src/agent/paths.ts';
import { createStatusSource } from '../../../src/agent/statusSource.ts';
import type { EngineVersion } from '../../../src/containers/engine.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { type ItemId, itemId } from '../../../src/model/ids.ts';
import { readTpmReadiness } from '../../../src/model/keyHolder.ts';
import { portGate } from '../../../src/net/itemIds.ts';
import { engineGate } from '../../../src/containers/items.ts';
import { KERNEL_FEATURES } from '../../../src/model/facts.ts';
import { createLinuxSystem } from '../../../src/system/linux/system.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

const MODELS = join(import.meta.dirname, '../../../firmware/models');
const { signal } = new AbortController();
const system = { ...createLinuxSystem({ name: 'test' }), log };
const slow = new BranchboxError('engine/unreachable', {
  message: 'the container engine at /run/docker.sock does not answer: layers are being checked',
});
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-facts-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** Facts of a box whose engine answers as the test has it. */
async function gathererOf(answer: (limit: AbortSignal) => Promise<EngineVersion | undefined>) {
  const paths = { ...AGENT_PATHS, state: directory, run: join(directory, 'run'), models: MODELS };
  const features = Object.fromEntries(KERNEL_FEATURES.map((name) => [name, true]));
  await mkdir(dirname(bootFindingsPath(paths)), { recursive: true });
  await writeFile(
    bootFindingsPath(paths),
    JSON.stringify({ bootId: 'b', kernelRelease: release(), features }),
  );
  return createFactsGatherer({ system, paths, version: '1.0.0', engineVersion: answer, signal });
}

it('what the engine said when it was asked is told for as long as it gives no version', async () => {
  const answers = [
    () => Promise.reject(slow),
    async () => undefined,
    () => Promise.reject(slow),
    async () => ({ name: 'docker' as const, version: '26.1' }),
  ];
  const facts = await gathererOf(() => answers.shift()?.() ?? expect.unreachable());
  expect(facts.engineProblem()).toBe(slow.message);
  expect(facts.latest().engine).toBeUndefined();
  // No engine at all is no problem of one.
  await facts.gather(signal);
  expect(facts.engineProblem()).toBeUndefined();
  await facts.gather(signal);
  expect(facts.engineProblem()).toBe(slow.message);
  await facts.gather(signal);
  expect([facts.latest().engine, facts.engineProblem()]).toEqual([
    { name: 'docker', version: '26.1' },
    undefined,
  ]);
});

it('a look that was given up says nothing of the engine', async () => {
  const facts = await gathererOf(async (limit) => {
    limit.throwIfAborted();
    return undefined;
  });
  await facts.gather(AbortSignal.abort(new Error('superseded')));
  expect(facts.engineProblem()).toBeUndefined();
});

it('a status says it of an item that waits for the engine, and of no other', async () => {
  const facts = await gathererOf(() => Promise.reject(slow));
  const waits = (id: ItemId, gate: ItemId) => ({ id, missing: [gate] });
  const blocked = [waits(itemId('app', 'red-app'), engineGate), waits(itemId('x', 'y'), portGate('lan1'))];
  const report = {
    converged: true,
    plan: { steps: [], blocked },
    observation: { items: [], gates: new Set<ItemId>(), unobserved: new Map() },
    failures: new Map(),
    applied: 0,
    durationMs: 1,
  };
  const source = createStatusSource({
    system: { ...system, files: { ...system.files, list: async () => [], readText: async () => undefined } },
    engine: { listContainers: async () => [], inspectContainer: async () => undefined },
    facts,
    vty: { show: async () => undefined },
    eventsDropped: () => 0,
    keys: readTpmReadiness(undefined).holding,
    tunnelClock: { heard() {}, sentence: () => undefined },
  });
  const { health } = await source.read({
    gatewayId: undefined,
    spec: undefined,
    facts: facts.latest(),
    states: [{ name: 'apps', owns: () => true, report, defect: undefined }],
    desired: {},
    link: { connected: false, uplink: undefined, sinceMs: 0, lastProblem: undefined },
    firmware: { version: '1.0.0', state: 'unavailable', sentence: 'no slots' },
    quarantine: undefined,
    move: undefined,
    modems: [],
    bootstrap: undefined,
  });
  const said = new Map(health.conditions.map(({ subject, sentence }) => [subject, sentence]));
  expect(said.get('app:red-app')).toMatch(/docker\.sock\. .* When asked: .*: layers are being checked\.$/);
  expect(said.get('x:y')).toMatch(/^x:y waits for external:port\/lan1\. No interface/);
  expect(said.get('x:y')).not.toContain('asked');
});
