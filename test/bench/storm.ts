/**
 * Owns the storm: many factory-new boxes at once against one controller with its signer, manufacturer and broker, all on
 * this machine's cores in a namespace, until each has its own certificate and its strict ping was answered. Beside it the
 * number of handshakes of mutual TLS that the same cores can do at all.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeIdentity } from '../../src/controller/manufacturer/identity.ts';
import { ensureRootTree } from '../../src/lab/rootTree.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { createLinuxSystem } from '../../src/system/linux/system.ts';
import { type BootstrapWorld, createBootstrapWorld } from '../lab/bootstrapWorld.ts';
import type { Running } from '../lab/processes.ts';
import { rowOf, type Row } from './result.ts';
import type { StormBox } from './stormBoxes.ts';

const PROCESSES = 2;
const PEER_HANDSHAKES = 2_000;
const PEER_PORT = '4433';
/** USER_HZ is 100 on every Linux we run on. */
const TICK_S = 0.01;

const serialOf = (index: number): string => `SN-${index}`;

/** Identities as the factory makes them, but in one process: a thousand starts of a program are not what is measured. */
async function makeBoxes(world: BootstrapWorld, count: number): Promise<void> {
  const { files, clock } = createLinuxSystem({ name: 'factory' });
  for (let index = 0; index < count; index += 1) {
    await makeIdentity({
      files,
      clock,
      directory: join(world.directory, 'manufacturer'),
      serial: serialOf(index),
      model: 'lab',
      out: join(world.directory, `box-${index}`, 'factory'),
    });
    if (index % 100 === 99) console.log(`${index + 1} boxes made`);
  }
}

async function describeFleet(world: BootstrapWorld, count: number): Promise<void> {
  const gateways = Array.from({ length: count }, (_, index) => {
    const vtep = `10.255.${Math.floor(index / 250) + 1}.${(index % 250) + 1}`;
    return `[[gateways]]\nid = "box-${index}"\nserial = "${serialOf(index)}"\nrole = "branch"\nsite = "storm"\nvtep = "${vtep}"\nuplinks = [{ name = "internet", port = "wan1" }]\n`;
  });
  const file = join(world.directory, 'fleet.toml');
  await writeFile(file, `[fleet]\nname = "storm"\n${gateways.join('')}`);
  await world.branchbox('fleet', 'apply', file, ...world.apiAccess);
  const serials = Array.from({ length: count }, (_, index) => serialOf(index));
  await world.branchbox('fleet', 'inventory', ...serials, ...world.apiAccess);
}

async function cpuS({ child }: Running): Promise<number> {
  const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_S;
}

async function peerRate(world: BootstrapWorld): Promise<number> {
  const factory = join(world.directory, 'box-0', 'factory');
  const server = world.start('test/bench/handshakes.ts', 'server', factory, PEER_PORT);
  await server.said(/^ready$/);
  const client = world.start(
    'test/bench/handshakes.ts',
    'client',
    factory,
    PEER_PORT,
    String(PEER_HANDSHAKES),
  );
  const rate = Number((await client.said(/^rate /)).split(' ')[1]);
  await server.end('SIGTERM');
  return rate;
}

export async function measureStorm(count: number): Promise<readonly Row[]> {
  const world = await createBootstrapWorld(await ensureRootTree(createRunner(), console.log));
  try {
    const services = await world.startServices();
    await makeBoxes(world, count);
    await describeFleet(world, count);
    // Each gateway's first desired state: that is no part of the storm, and stays so where the boxes come days later.
    await services.controller.said(new RegExp(`signed a desired state.*"box-${count - 1}"`));
    const peer = await peerRate(world);
    console.log(`${Math.round(peer)} handshakes a second by a bare server`);
    return [
      ...(await storm(world, services, count)),
      rowOf('node-tls', `storm-${count}`, 'handshake-rate', '1/s', [peer]),
    ];
  } finally {
    await world.remove();
  }
}

async function storm(world: BootstrapWorld, services: Services, count: number): Promise<readonly Row[]> {
  const share = Math.ceil(count / PROCESSES);
  const answers = Array.from({ length: PROCESSES }, (_, i) => join(world.directory, `storm-${i}.json`));
  const processes = answers.map((answer, i) =>
    world.start(
      'test/bench/stormBoxes.ts',
      world.directory,
      String(i * share),
      String(Math.min(share, count - i * share)),
      answer,
    ),
  );
  for (const one of processes) await one.said(/^ready$/);
  const cores = Object.entries(services);
  const before = new Map<string, number>();
  for (const [name, running] of cores) before.set(name, await cpuS(running));
  const startedAtMs = performance.now();
  for (const { child } of processes) child.kill('SIGUSR2');
  for (const one of processes) await one.said(/^done$/);
  const elapsedS = (performance.now() - startedAtMs) / 1000;
  const boxes: StormBox[] = [];
  for (const answer of answers) boxes.push(...JSON.parse(await readFile(answer, 'utf8')));
  const kase = `storm-${count}`;
  const row = (metric: string, unit: string, values: readonly number[]): Row =>
    rowOf('branchbox', kase, metric, unit, values);
  const rows: Row[] = [];
  for (const [name, running] of cores) {
    rows.push(row(`cpu-of-${name}`, 's', [(await cpuS(running)) - (before.get(name) ?? 0)]));
  }
  const failed = boxes.filter(({ totalMs }) => totalMs === undefined);
  if (boxes.length !== count || failed.length > 0) {
    throw new Error(
      `${failed.length} of ${count} boxes never got there: ${JSON.stringify(failed.slice(0, 3))}`,
    );
  }
  const states = [...new Set(boxes.flatMap((box) => Object.keys(box.states)))];
  for (const state of states)
    rows.push(
      row(
        `in-${state}`,
        'ms',
        boxes.map((box) => box.states[state] ?? 0),
      ),
    );
  rows.push(
    row(
      'cable-in-to-strict',
      'ms',
      boxes.map(({ totalMs }) => totalMs ?? Number.NaN),
    ),
  );
  rows.push(
    row(
      'busy-answers',
      'per box',
      boxes.map(({ busy }) => busy),
    ),
  );
  rows.push(
    row(
      'other-failures',
      'per box',
      boxes.map(({ problems }) => problems.length),
    ),
  );
  rows.push(row('all-done', 's', [elapsedS]), row('boxes', '1/s', [count / elapsedS]));
  tellProblems(boxes);
  return rows;
}

function tellProblems(boxes: readonly StormBox[]): void {
  const counts = new Map<string, number>();
  for (const problem of boxes.flatMap(({ problems }) => problems)) {
    counts.set(problem, (counts.get(problem) ?? 0) + 1);
  }
  for (const [problem, times] of [...counts].toSorted((a, b) => b[1] - a[1]).slice(0, 10)) {
    console.log(`${times} × ${problem}`);
  }
}

type Services = Awaited<ReturnType<BootstrapWorld['startServices']>>;
