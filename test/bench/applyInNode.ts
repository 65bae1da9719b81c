/**
 * Runs inside a plain node of the lab: brings N segments about through the drivers, cold and with one segment more,
 * and beside it the floor: the same links by raw `ip -batch` and the same ruleset by `nft -f`. Prints one JSON line a
 * measurement.
 * Does not own the bench (apply.ts).
 */
import type { DesiredSpec } from '../../src/model/desired.ts';
import type { Facts } from '../../src/model/facts.ts';
import { KERNEL_FEATURES } from '../../src/model/facts.ts';
import { renderEvpn } from '../../src/evpn/render.ts';
import { createNetDrivers } from '../../src/net/drivers.ts';
import { address, external, kernelGate } from '../../src/net/itemIds.ts';
import type { FrrLineItem, NetItem, ServiceItem } from '../../src/net/items.ts';
import { renderPolicy } from '../../src/policy/render.ts';
import { createReconciler } from '../../src/reconcile/reconciler.ts';
import { createLinuxSystem } from '../../src/system/linux/system.ts';
import { BARE_BRANCH } from '../unit/model/bareBranch.ts';

/** FRR needs no line a segment (advertise-all-vni) and does not run in a plain node; nor does an init system. */
type Measured = Exclude<NetItem, FrrLineItem | ServiceItem>;

const VTEP = '10.255.0.99';
/** Nobody else's in a plain node. */
const REMOVED_GROUP = 4711;
const facts: Facts = {
  serial: 'bench',
  model: 'bench',
  version: '0',
  bootId: 'bench',
  kernel: {
    release: 'bench',
    features: Object.fromEntries(
      KERNEL_FEATURES.map((feature) => [feature, true]),
    ) as Facts['kernel']['features'],
  },
  ports: [],
  leases: [],
  leases6: [],
  wireguardPublicKey: '',
};

function specOf(segments: number): DesiredSpec {
  return {
    ...BARE_BRANCH,
    vtep: VTEP,
    segments: Array.from({ length: segments }, (_, i) => ({ id: `s${i}`, tenant: 'red', vni: 10_000 + i })),
  };
}

const isMeasured = (item: NetItem): item is Measured => item.kind !== 'frr' && item.kind !== 'service';
const itemsOf = (segments: number): Measured[] => {
  const spec = specOf(segments);
  return [
    address({ link: 'lo', address: `${VTEP}/32` }),
    ...renderEvpn(spec, facts),
    ...renderPolicy(spec, facts, 'bench'),
  ].filter(isMeasured);
};

const system = createLinuxSystem({ name: 'bench' });
const gates = KERNEL_FEATURES.map((feature) => external(kernelGate(feature), feature));
const { frr: _frr, service: _service, ...drivers } = createNetDrivers(system, { gates: () => gates });
const reconciler = createReconciler<Measured>({ drivers, clock: system.clock, log: system.log });
const signal = new AbortController().signal;

async function converge(segments: number): Promise<number> {
  const startedAtMs = performance.now();
  const report = await reconciler.converge(itemsOf(segments), signal);
  const tookMs = performance.now() - startedAtMs;
  if (!report.converged || report.plan.blocked.length > 0) {
    const failure = [...report.failures].slice(0, 3).map(([id, error]) => `${id}: ${error.message}`);
    throw new Error(
      `not converged at ${segments}: ${failure.join('; ')} blocked ${JSON.stringify(report.plan.blocked.slice(0, 3))}`,
    );
  }
  return tookMs;
}

/** What somebody would write by hand for the same links and the same ruleset, in one process each. */
async function floor(first: number, count: number, ruleset: string): Promise<number> {
  const lines: string[] = [];
  for (let i = first; i < first + count; i += 1) {
    const [bridge, device] = [`br-${10_000 + i}`, `vx-${10_000 + i}`];
    lines.push(
      `link add ${bridge} mtu 1390 up type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `link add ${device} mtu 1390 up master ${bridge} type vxlan id ${10_000 + i} local ${VTEP} dstport 4789 nolearning`,
    );
  }
  const startedAtMs = performance.now();
  await system.runner.runChecked('ip', ['-batch', '-'], {
    stdin: `${lines.join('\n')}\n`,
    timeoutMs: 300_000,
  });
  await system.runner.runChecked('nft', ['-f', '-'], { stdin: `flush ruleset\n${ruleset}` });
  return performance.now() - startedAtMs;
}

/**
 * Takes all links of a size away in one go by their group: one by one the kernel waits for each (37 ms a link here,
 * 10 ms in a group), and no figure is taken of it.
 */
async function removeLinks(count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, i) =>
    [`vx-${10_000 + i}`, `br-${10_000 + i}`].map((name) => `link set dev ${name} group ${REMOVED_GROUP}`),
  );
  await system.runner.runChecked('ip', ['-batch', '-'], {
    stdin: `${lines.flat().join('\n')}\nlink del group ${REMOVED_GROUP}\n`,
    timeoutMs: 300_000,
  });
}

const [segmentsText = '10', timesText = '1'] = process.argv.slice(2);
const segments = Number(segmentsText);
await converge(0);
for (let i = 0; i < Number(timesText); i += 1) {
  const coldMs = await converge(segments);
  const oneChangeMs = await converge(segments + 1);
  const ruleset = await system.runner.runChecked('nft', ['list', 'ruleset']);
  await removeLinks(segments + 1);
  await converge(0);
  const coldFloorMs = await floor(0, segments, ruleset);
  const oneFloorMs = await floor(segments, 1, ruleset);
  await removeLinks(segments + 1);
  console.log(JSON.stringify({ coldMs, oneChangeMs, coldFloorMs, oneFloorMs }));
}
