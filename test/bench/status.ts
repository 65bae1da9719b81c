/**
 * Owns the status bench: how long after something changed on a box the controller has it. All nodes have one clock.
 * `noticed` is from the change to when the box dates it, `told` from there to when the controller received it; what
 * `lab cut` itself takes to start counts as part of the change, so that these figures are upper bounds.
 */
import { api } from '../lab/mainjob/fleet.ts';
import { inspectApp } from '../lab/mainjob/engine.ts';
import { inNode, lab, until } from '../lab/mainjob/lab.ts';
import { rowOf, type Row } from './result.ts';

interface Known {
  readonly receivedAtMs: number;
  readonly status: {
    readonly health: {
      readonly state: string;
      readonly conditions: readonly { readonly code: string; readonly sinceMs: number }[];
    };
    readonly apps: readonly { readonly restarts: number }[];
  };
}

const BOX = 'branch1';
const known = async (): Promise<Known> => (await api('GET', `/api/v1/gateways/${BOX}/status`)).body as Known;
const well = () =>
  until('the controller knows that all is well', async () => {
    const now = await known();
    return now.status.health.state === 'ok' ? now : undefined;
  });

interface Measured {
  readonly noticedMs?: number;
  readonly tookMs: number;
}

/** Of a condition that the change raises. */
async function raised(code: string, atMs: number): Promise<Measured> {
  return until(`the controller knows of ${code}`, async () => {
    const { receivedAtMs, status } = await known();
    const found = status.health.conditions.find((condition) => condition.code === code);
    return found === undefined ? undefined : { noticedMs: found.sinceMs - atMs, tookMs: receivedAtMs - atMs };
  });
}

async function pathDown(): Promise<Measured> {
  const atMs = Date.now();
  await lab('cut', BOX, 'lte');
  try {
    return await raised('path-down', atMs);
  } finally {
    await lab('heal', BOX, 'lte');
  }
}

async function sessionDown(): Promise<Measured> {
  const atMs = Number(
    await inNode('hub', 'sh', '-c', 'date +%s%3N; systemctl stop frr-bgpd.service >/dev/null'),
  );
  try {
    return await raised('overlay-down', atMs);
  } finally {
    await inNode('hub', 'systemctl', 'start', 'frr-bgpd.service');
  }
}

/** Its engine starts it again at once: what changes is how often that was. */
async function appKilled(): Promise<Measured> {
  const before = (await known()).status.apps[0]?.restarts ?? 0;
  const { Pid: pid } = (await inspectApp(BOX, 'red-app')).State;
  const atMs = Number(await inNode(BOX, 'sh', '-c', `date +%s%3N; kill -9 ${pid}`));
  return until('the controller knows of the restart', async () => {
    const { receivedAtMs, status } = await known();
    return (status.apps[0]?.restarts ?? 0) > before ? { tookMs: receivedAtMs - atMs } : undefined;
  });
}

const CASES = { 'path-down': pathDown, 'session-down': sessionDown, 'app-killed': appKilled } as const;

export async function measureStatus(times: number): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(CASES)) {
    const measured: Measured[] = [];
    for (let i = 0; i < times; i += 1) {
      await well();
      measured.push(await measure());
      console.log(`${name} ${i + 1}/${times}: the controller had it after ${measured.at(-1)?.tookMs} ms`);
    }
    const took = measured.map(({ tookMs }) => tookMs);
    const noticed = measured.flatMap(({ noticedMs }) => noticedMs ?? []);
    const told = measured.flatMap(({ noticedMs, tookMs }) =>
      noticedMs === undefined ? [] : tookMs - noticedMs,
    );
    if (noticed.length > 0) {
      rows.push(
        rowOf('branchbox', name, 'noticed', 'ms', noticed),
        rowOf('branchbox', name, 'told', 'ms', told),
      );
    }
    rows.push(rowOf('branchbox', name, 'at-controller', 'ms', took));
  }
  return rows;
}
