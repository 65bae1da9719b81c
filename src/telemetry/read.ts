/**
 * Owns reading a box for its status: FRR over its sockets, links from sysfs, handshakes from `wg` once a minute, and
 * where a path came to life since. At rest a read starts no process.
 * Does not own what follows from it (status.ts, health.ts).
 */
import { statfs } from 'node:fs/promises';
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import { type ItemId, wireguardOf } from '../model/ids.ts';
import type { AppsReading } from '../model/observedApps.ts';
import type { Condition, GatewayStatus } from '../model/status.ts';
import type { System } from '../system/ports.ts';
import {
  type FrrState,
  parseLiveness,
  parseNeighbours,
  parseRoutes,
  parseSessions,
  parseVnis,
  pathKey,
} from './frrState.ts';
import { conditionsOf, healthState, type HealthInput, judge } from './health.ts';
import type { DataRoom } from './ownFindings.ts';
import { type StatusBody, statusOf, type Undone } from './status.ts';
import type { Vty } from './vty.ts';

export interface StatusReading
  extends Pick<
    HealthInput,
    | 'spec'
    | 'controller'
    | 'refused'
    | 'firmware'
    | 'quarantine'
    | 'move'
    | 'eventsDropped'
    | 'keys'
    | 'crashes'
    | 'modems'
    | 'clockBehind'
  > {
  readonly facts: Facts;
  readonly undone: Undone;
}

export interface StatusReader {
  read(input: StatusReading, signal: AbortSignal): Promise<StatusBody & Pick<GatewayStatus, 'health'>>;
}

export interface StatusReaderParts {
  readonly system: Pick<System, 'runner' | 'files' | 'clock'>;
  readonly vty: Vty;
  readonly apps: (signal: AbortSignal) => Promise<AppsReading>;
  readonly gateSentence: (id: ItemId) => string | undefined;
  /** By interface and peer, in seconds since 1970; after each look. */
  readonly onHandshakes: (found: ReadonlyMap<string, number>) => void;
}

const DATA = '/var';
/** There where DATA is a partition of the box's own. */
const DATA_PROTECTION = '/run/branchbox/boot/data-protection';
/** There where the root is verified; a timer looks (branchbox-root-check). */
const ROOT_STATE = '/run/branchbox/boot/root-state';
const SESSIONS = 'show bgp l2vpn evpn summary json';
/** Handshakes come every 2 minutes; asking is the one thing here that starts a process. */
const HANDSHAKES_EVERY_MS = 60_000;
/** Where a path lives whose handshake was not seen: it was after the last look. */
const HANDSHAKES_MISSING_MS = 5000;

export function createStatusReader(parts: StatusReaderParts): StatusReader {
  const { vty, apps, gateSentence } = parts;
  const { runner, files, clock } = parts.system;
  let conditions: readonly Condition[] = [];
  let handshakes: ReadonlyMap<string, number> = new Map();
  let handshakesAtMs = Number.NEGATIVE_INFINITY;
  /** Of this boot: read once. */
  let dataProtection: Promise<string | undefined> | undefined;

  const readHandshakes = async (spec: DesiredSpec, frr: FrrState, signal: AbortSignal): Promise<void> => {
    const everyMs = livesUnheard(spec, frr, handshakes) ? HANDSHAKES_MISSING_MS : HANDSHAKES_EVERY_MS;
    if (clock.monotonicMs() - handshakesAtMs < everyMs) return;
    handshakesAtMs = clock.monotonicMs();
    const result = await runner
      .run('wg', ['show', 'all', 'latest-handshakes'], { signal })
      .catch(() => undefined);
    if (result?.exitCode !== 0) return;
    handshakes = parseHandshakes(result.stdout);
    parts.onHandshakes(handshakes);
  };

  return {
    async read(input, signal) {
      const { spec, facts, undone } = input;
      const [frr, links, appStates] = await Promise.all([
        readFrr(vty, spec, signal),
        files.list('/sys/class/net'),
        (spec?.apps.length ?? 0) > 0 ? apps(signal) : { apps: [] },
      ]);
      if (spec !== undefined) await readHandshakes(spec, frr, signal);
      const nowS = Math.floor(clock.nowMs() / 1000);
      const box = {
        frr,
        links: new Set(links),
        apps: appStates,
        handshakeAgeS: (ifname: string, publicKey: string): number | undefined => {
          const at = handshakes.get(`${ifname} ${publicKey}`);
          return at === undefined ? undefined : Math.max(0, nowS - at);
        },
      };
      const body = statusOf(spec, facts, box, undone);
      dataProtection ??= files.readText(DATA_PROTECTION).catch(() => undefined);
      const protection = (await dataProtection)?.trim();
      const data = {
        dataProtection: protection,
        rootState: (await files.readText(ROOT_STATE).catch(() => undefined))?.trim(),
        dataRoom: protection === undefined ? undefined : await readRoom(),
      };
      const ssh = { ssh: spec?.ssh, sshHostKey: facts.ssh?.hostKey };
      const findings = judge({ ...input, ...data, ...ssh, body, box, gateSentence });
      conditions = conditionsOf(findings, conditions, clock.nowMs());
      return { ...body, health: { state: healthState(conditions), conditions: [...conditions] } };
    },
  };
}

/** One call of the kernel. bavail: without the blocks that are set aside. */
async function readRoom(): Promise<DataRoom | undefined> {
  const found = await statfs(DATA).catch(() => undefined);
  return found === undefined ? undefined : { freeBytes: found.bavail * found.bsize, freeFiles: found.ffree };
}

const NOTHING: FrrState = {
  liveness: undefined,
  routes: undefined,
  remoteVteps: undefined,
  sessions: undefined,
};

async function readFrr(vty: Vty, spec: DesiredSpec | undefined, signal: AbortSignal): Promise<FrrState> {
  if (spec === undefined) return NOTHING;
  const [liveness, routes, vnis, sessions] = await Promise.all([
    vty.show('bfdd', 'show bfd peers json', signal),
    vty.show('zebra', `show ip route ${spec.fleet.vtepRange} longer-prefixes json`, signal),
    vty.show('zebra', 'show evpn vni detail json', signal),
    vty.show('bgpd', SESSIONS, signal),
  ]);
  return {
    liveness: parseLiveness(liveness),
    routes: parseRoutes(routes),
    remoteVteps: parseVnis(vnis),
    sessions: parseSessions(sessions),
  };
}

/** Whether a path is up without a handshake that is known. BFD runs inside WireGuard, so there was one. */
function livesUnheard(spec: DesiredSpec, frr: FrrState, handshakes: ReadonlyMap<string, number>): boolean {
  return spec.tunnels.some(({ id, peers }) => {
    const ifname = wireguardOf(id);
    return peers.some(
      ({ tunnelAddress, publicKey }) =>
        frr.liveness?.get(pathKey(tunnelAddress, ifname)) === true &&
        !handshakes.has(`${ifname} ${publicKey}`),
    );
  });
}

/** `<interface> <public key> <seconds since 1970, or 0>` a line. Pure. */
export function parseHandshakes(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [ifname, publicKey, at] = line.split('\t');
    if (ifname !== undefined && publicKey !== undefined && Number(at) > 0) {
      found.set(`${ifname} ${publicKey}`, Number(at));
    }
  }
  return found;
}

/** Every so often: a path that dies while it carries nothing moves no route, nor does a session or a site of a segment. */
const LIVENESS_EVERY_MS = 1000;

/** Calls back when any path, EVPN session or route of one came or went. Two questions to FRR a second, no process. */
export async function watchLiveness(
  parts: { readonly vty: Vty; readonly clock: Pick<System['clock'], 'sleep'> },
  onChange: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { vty, clock } = parts;
  let last: string | undefined;
  while (!signal.aborted) {
    const [paths, sessions] = await Promise.all([
      vty.show('bfdd', 'show bfd peers json', signal),
      vty.show('bgpd', SESSIONS, signal),
    ]);
    const now = JSON.stringify([parseLiveness(paths), parseNeighbours(sessions)].map(inOrder));
    if (last !== undefined && now !== last) onChange();
    last = now;
    await clock.sleep(LIVENESS_EVERY_MS, signal).catch(() => undefined);
  }
}

const inOrder = (found: ReadonlyMap<string, unknown> | undefined) =>
  found === undefined ? 'silent' : [...found].toSorted(([a], [b]) => (a < b ? -1 : 1));
