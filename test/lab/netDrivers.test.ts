/**
 * The network drivers on a real kernel, in namespaces of their own: the scenarios of test/unit/net, so that the fake box
 * is held against the real thing; and what many segments take beside the same lines given to `ip` raw.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ensureRootTree } from '../../src/lab/rootTree.ts';
import { linkItem } from '../../src/model/ids.ts';
import { createNetDrivers } from '../../src/net/drivers.ts';
import { link } from '../../src/net/itemIds.ts';
import { renderAdd, renderFinish } from '../../src/net/linkRender.ts';
import { createReconciler } from '../../src/reconcile/reconciler.ts';
import { createClock } from '../../src/system/linux/clock.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import type { Services, System } from '../../src/system/ports.ts';
import { printBox } from '../fakes/box/print.ts';
import type { Bench, BoxItem } from '../unit/net/bench.ts';
import { SCENARIOS } from '../unit/net/scenarios.ts';
import { type BareNode, startBareNode } from './wan/bareNode.ts';
import { silentLog as silent } from '../fakes/silentLog.ts';

const SCENARIO_TIMEOUT_MS = 60_000;
/** A namespace with 2,000 links takes 20 s to go, and others wait for it. */
const SEGMENTS = 250;

let tree = '';
let node: BareNode | undefined;
let count = 0;

beforeAll(async () => {
  tree = await ensureRootTree(createRunner(), (line) => process.stderr.write(`${line}\n`));
}, 20 * 60_000);
afterEach(async () => {
  await node?.stop();
  node = undefined;
});
afterAll(() => node?.stop());

/** wireguard-go@ alone, as its unit runs it: started again by whoever kills it. */
function servicesOf(box: BareNode): Services {
  const running = new Set<string>();
  const nameOf = (unit: string): string => unit.replace(/^wireguard-go@(.*)\.service$/, '$1');
  const change = async (units: readonly string[], effect: (name: string) => Promise<void>): Promise<void> => {
    for (const unit of units) await effect(nameOf(unit));
  };
  const start = async (name: string): Promise<void> => {
    if (!running.has(name)) await box.run('sh', '-c', `wireguard-go ${name} >/dev/null 2>&1 </dev/null`);
    running.add(name);
  };
  const stop = async (name: string): Promise<void> => {
    if (running.delete(name)) await box.run('ip', 'link', 'delete', 'dev', name);
  };
  return {
    start: (units) => change(units, start),
    stop: (units) => change(units, stop),
    restart: async (units) => {
      await change(units, stop);
      await change(units, start);
    },
    list: (pattern) =>
      Promise.resolve(
        pattern.startsWith('wireguard-go@')
          ? [...running].map((name) => ({
              unit: `wireguard-go@${name}.service`,
              active: true,
              mainPid: undefined,
              restarts: 0,
            }))
          : [],
      ),
  };
}

async function readInside(box: BareNode, path: string): Promise<string | undefined> {
  const result = await box.runner.run('cat', [path]);
  return result.exitCode === 0 ? result.stdout : undefined;
}

interface Real {
  readonly system: System;
  readonly bench: Bench;
}

async function start(): Promise<Real> {
  count += 1;
  const box = await startBareNode(`net${count}`, tree);
  node = box;
  const services = servicesOf(box);
  const system: System = {
    runner: box.runner,
    files: {
      ...box.files,
      // /proc/sys/net shows the reader's own namespace, whichever /proc it is opened in: read from inside.
      readText: (path, maxBytes) =>
        path.startsWith('/proc/sys/') ? readInside(box, path) : box.files.readText(path, maxBytes),
    },
    clock: createClock(),
    services,
    log: silent,
  };
  const signal = new AbortController().signal;
  const reconciler = () => {
    const { frr: _, ...drivers } = createNetDrivers(system);
    return createReconciler<BoxItem>({ drivers, clock: system.clock, log: silent });
  };
  const bench: Bench = {
    converge: (desired) => reconciler().converge(desired, signal),
    plan: (desired) => reconciler().plan(desired, signal),
    observe: async () => (await reconciler().observe([], signal)).items,
    async outside(command, ...args) {
      await box.run(command, ...args);
    },
    print: () => printBox(box.runner),
    readFile: (path) => box.run('cat', path),
    async wireguardKey() {
      const file = '/var/lib/branchbox/agent/wireguard.key';
      const key = await box.run('wg', 'genkey');
      await box.files.writeDurable(file, key);
      return { file, publicKey: (await box.runner.runChecked('wg', ['pubkey'], { stdin: key })).trim() };
    },
    async killWireguard(name) {
      const unit = `wireguard-go@${name}.service`;
      await services.restart([unit]);
    },
  };
  return { system, bench };
}

describe('on a real kernel', () => {
  for (const scenario of SCENARIOS) {
    test(scenario.name, { timeout: SCENARIO_TIMEOUT_MS }, async () => {
      const { bench } = await start();
      await scenario.run(bench);
    });
  }
});

const segments = (firstVni: number): BoxItem[] =>
  Array.from({ length: SEGMENTS }, (_, index) => {
    const vni = firstVni + index;
    const name = `br-${vni}`;
    return [
      link({ type: 'bridge', name, mtu: 1390 }),
      link({ type: 'vxlan', name: `vx-${vni}`, vni, localAddress: '10.255.0.11', mtu: 1390, bridge: name }, [
        linkItem(name),
      ]),
    ];
  }).flat();

test('many segments, beside the same lines given to ip raw', { timeout: 300_000 }, async () => {
  const { bench, system } = await start();
  const desired = segments(10_001);
  const rows: Record<string, number> = {};
  const time = async (name: string, run: () => Promise<unknown>): Promise<void> => {
    const startMs = performance.now();
    await run();
    rows[name] = Math.round(performance.now() - startMs);
  };
  await time('converge (observe, plan, apply, verify)', async () => {
    expect((await bench.converge(desired)).converged).toBe(true);
  });
  await time('plan with nothing to do', async () => {
    expect((await bench.plan(desired)).steps).toEqual([]);
  });
  const one = link({ type: 'bridge', name: 'br-1', mtu: 1390 });
  await time('one more bridge, converged', async () => {
    expect((await bench.converge([...desired, one])).applied).toBe(1);
  });
  // In the same namespace: tearing one of these down stalls the whole machine's network configuration for seconds.
  const lines = segments(20_001).flatMap(({ kind, spec }) =>
    kind === 'link' ? [renderAdd(spec) ?? '', ...renderFinish(spec)] : [],
  );
  await time('raw ip -batch of the same lines', async () => {
    await system.runner.runChecked('ip', ['-batch', '-'], {
      stdin: `${lines.join('\n')}\n`,
      timeoutMs: 120_000,
    });
  });
  process.stdout.write(`${SEGMENTS} segments, milliseconds: ${JSON.stringify(rows, undefined, 2)}\n`);
});
