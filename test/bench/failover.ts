/**
 * Owns the failover bench: how long a tenant's stream is gone when an uplink is, and what it loses when it comes back,
 * beside two peers on the same tunnels in the same run:
 * - ping-and-switch: the field's usual watcher (ping every 10 s, switch after 5 failures), its interval scaled by
 *   1/20 so that a run ends; the figure is scaled back by 20 and the metric says so;
 * - plain-wireguard: one tunnel and no watcher: gone until the cut is healed.
 * The peers' stream is a ping every 2 ms from gateway to hub, without overlay (a hub takes nothing but overlay, BFD,
 * BGP and ICMP from a tunnel), so they are measured at an advantage.
 */
import { elapse, inNode, jsonIn, lab, streamWhile, tryIn, until } from '../lab/mainjob/lab.ts';
import { rowOf, type Row } from './result.ts';

const INTERVAL_MS = 1;
const PEER_TARGET = '10.255.200.1';
const SCALE = 20;
const PING_EVERY_MS = 10_000 / SCALE;
const FAILURES = 5;
/** mwan3's 4 s, scaled as well. */
const PING_TIMEOUT_MS = 4000 / SCALE;
const PLAIN_CUT_MS = 4000;

interface Path {
  readonly uplink: string;
  readonly state: string;
  readonly active: boolean;
}
const pathsOf = async (): Promise<readonly Path[]> =>
  (await jsonIn<{ paths: readonly Path[] }>('branch1', 'branchbox', 'status', '--json')).paths;
const active = async (uplink: string) =>
  (await pathsOf()).some((path) => path.active && path.uplink === uplink);
const settled = () =>
  until(
    'all paths up, internet active',
    async () => (await pathsOf()).every((path) => path.state === 'up') && (await active('internet')),
  );

async function cutOnce(
  flags: readonly string[],
): Promise<{ readonly gapMs: number; readonly failbackLost: number }> {
  await settled();
  const cut = await streamWhile('branch1-red', 'branch2-red', '10.10.0.12', INTERVAL_MS, async () => {
    await elapse(500);
    await lab('cut', 'branch1', 'internet', ...flags);
    await until('lte active', () => active('lte'));
    await elapse(1000);
  });
  const back = await streamWhile('branch1-red', 'branch2-red', '10.10.0.12', INTERVAL_MS, async () => {
    await elapse(500);
    await lab('heal', 'branch1', 'internet');
    await settled();
    await elapse(1000);
  });
  return { gapMs: cut.longestRun * INTERVAL_MS, failbackLost: back.lost };
}

/** The two tunnels a peer may use: interface and the hub's address in it. */
async function peerTunnels(): Promise<readonly { readonly dev: string; readonly via: string }[]> {
  const routes = await jsonIn<{ dev: string; gateway?: string; metric?: number }[]>(
    'branch1',
    'ip',
    '-j',
    'route',
    'show',
    '10.255.0.1',
  );
  const floor = routes
    .filter((route) => (route.metric ?? 0) >= 4_261_412_864)
    .sort((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
  return floor.flatMap((route) =>
    route.gateway === undefined ? [] : [{ dev: route.dev, via: route.gateway }],
  );
}

const route = (tunnel: { dev: string; via: string }) => [
  'ip',
  'route',
  'replace',
  `${PEER_TARGET}/32`,
  'via',
  tunnel.via,
  'dev',
  tunnel.dev,
  'onlink',
];

const PING_MS = 2;

/** Until it is interrupted; the source is the one address of a branch that a hub takes from its tunnels. */
const pingStream = () =>
  tryIn('branch1', [
    'ping',
    '-D',
    '-n',
    '-I',
    '10.255.0.11',
    '-i',
    String(PING_MS / 1000),
    '-c',
    '60000',
    PEER_TARGET,
  ]);

/** Longest time between two answers, by ping's own stamps: how often a busy ping really sends does not matter. */
function longestSilenceMs(text: string): number {
  const stamps = [...text.matchAll(/^\[(\d+\.\d+)\].*icmp_seq=/gm)].map((match) => Number(match[1]) * 1000);
  if (stamps.length < 2) throw new Error('the peer never got an answer: nothing was measured');
  return stamps.reduce((longest, stamp, i) => Math.max(longest, stamp - (stamps[i - 1] ?? stamp)), 0);
}

async function peerGap(watch: boolean): Promise<number> {
  await settled();
  const tunnels = await peerTunnels();
  const first = tunnels[0];
  const spare = tunnels.at(-1);
  if (first === undefined || spare === undefined)
    throw new Error('branch1 has no floor routes to take tunnels from');
  await tryIn('hub', ['ip', 'address', 'add', `${PEER_TARGET}/32`, 'dev', 'lo']);
  await inNode('branch1', ...route(first));
  const switchOver = route(spare).join(' ');
  const watcher = `f=0; while [ $f -lt ${FAILURES} ]; do if ping -n -c1 -W${PING_TIMEOUT_MS / 1000} -I ${first.dev} ${first.via} >/dev/null 2>&1; then f=0; else f=$((f+1)); fi; sleep ${PING_EVERY_MS / 1000}; done; ${switchOver}`;
  try {
    const stream = pingStream();
    const watching = watch ? tryIn('branch1', ['timeout', '60', 'sh', '-c', watcher]) : undefined;
    await elapse(700);
    await lab('cut', 'branch1', 'internet');
    if (watching === undefined) await elapse(PLAIN_CUT_MS);
    else await watching;
    await elapse(500);
    await lab('heal', 'branch1', 'internet');
    await elapse(1000);
    await tryIn('branch1', ['pkill', '-INT', '-f', `ping .* ${PEER_TARGET}$`]);
    return longestSilenceMs((await stream).stdout);
  } finally {
    await tryIn('branch1', ['ip', 'route', 'del', `${PEER_TARGET}/32`]);
    await tryIn('hub', ['ip', 'address', 'del', `${PEER_TARGET}/32`, 'dev', 'lo']);
    await lab('heal', 'branch1', 'internet');
  }
}

export async function measureFailover(times: number): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const failback: number[] = [];
  for (const [name, flags] of [
    ['dark', []],
    ['carrier', ['--carrier']],
  ] as const) {
    const gaps: number[] = [];
    for (let i = 0; i < times; i += 1) {
      const { gapMs, failbackLost } = await cutOnce(flags);
      gaps.push(gapMs);
      failback.push(failbackLost);
      console.log(`${name} ${i + 1}/${times}: ${gapMs} ms gone, ${failbackLost} lost on the way back`);
    }
    rows.push(rowOf('branchbox', name, 'gap', 'ms', gaps));
  }
  rows.push(rowOf('branchbox', 'failback', 'lost', 'packets', failback));
  const quiet = await streamWhile('branch1-red', 'branch2-red', '10.10.0.12', INTERVAL_MS, () =>
    elapse(5000),
  );
  rows.push(rowOf('branchbox', 'no-fault', 'gap', 'ms', [quiet.longestRun * INTERVAL_MS]));
  const peerTimes = Math.max(1, Math.min(3, times));
  const watched: number[] = [];
  const plain: number[] = [];
  for (let i = 0; i < peerTimes; i += 1) {
    watched.push((await peerGap(true)) * SCALE);
    plain.push(await peerGap(false));
    console.log(
      `peers ${i + 1}/${peerTimes}: ping-and-switch ${watched.at(-1)} ms (scaled back), plain ${plain.at(-1)} ms of a ${PLAIN_CUT_MS} ms cut`,
    );
  }
  rows.push(rowOf('ping-and-switch', 'dark', `gap-scaled-by-${SCALE}`, 'ms', watched));
  rows.push(rowOf('plain-wireguard', 'dark', 'gap-of-4000-ms-cut', 'ms', plain));
  return rows;
}
