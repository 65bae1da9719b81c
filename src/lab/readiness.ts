/**
 * Owns when a lab truly works: ports that listen, gateways in service, hosts that reach each other, apps that answer.
 * Each condition is looked at where it is true, never inferred. Does not own bringing anything about.
 */
import { readFileSync } from 'node:fs';
import { splitCidr } from '../model/addresses.ts';
import { BranchboxError, type Problem } from '../model/errors.ts';
import type { Fleet } from '../model/fleet.ts';
import type { Clock } from '../system/ports.ts';
import type { LabNodeStatus, LabStatus } from './labStatus.ts';
import type { Nodes } from './nodes.ts';
import { isGateway, type Topology } from './topology.ts';

/** Readings of sockets and of /proc: they cost nearly nothing. */
const POLL_MS = 200;
/** Of a listening socket in /proc/net/tcp (include/net/tcp_states.h: TCP_LISTEN). */
const LISTEN_STATE = '0A';
/** A box may say sentences of 2,000 characters, and dozens of them: a few lines of a terminal are read. */
const LINE_CHARS = 300;
const CAUSE_CHARS = 160;

export async function awaitListening(options: {
  readonly clock: Clock;
  readonly nodes: Pick<Nodes, 'pidOf'>;
  readonly node: string;
  readonly ports: readonly number[];
  readonly deadlineMs: number;
}): Promise<void> {
  const { clock, nodes, node, ports, deadlineMs } = options;
  for (;;) {
    const open = listeningPorts(nodes.pidOf(node));
    const missing = ports.filter((port) => !open.has(port));
    if (missing.length === 0) return;
    if (clock.monotonicMs() > deadlineMs) {
      throw new BranchboxError('lab/not-ready', {
        message: `${node} does not listen on ${missing.join(', ')}`,
        mend: `look at branchbox lab exec ${node} -- sh -c 'tail /var/log/units/*.log'`,
      });
    }
    await clock.sleep(POLL_MS);
  }
}

function listeningPorts(pid: number | undefined): ReadonlySet<number> {
  if (pid === undefined) return new Set();
  const lines = ['tcp', 'tcp6'].flatMap((file) => {
    try {
      return readFileSync(`/proc/${pid}/net/${file}`, 'utf8').split('\n').slice(1);
    } catch {
      return [];
    }
  });
  const listening = lines
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words[3] === LISTEN_STATE);
  return new Set(listening.map((words) => Number.parseInt(words[1]?.split(':')[1] ?? '', 16)));
}

/** What of the gateways is not as the fleet wants it; empty when all is. Pure. */
export function gatewayProblems(status: LabStatus, fleet: Fleet): Problem[] {
  return fleet.gateways.flatMap((wanted): Problem[] => {
    const node = status.nodes.find(({ name }) => name === wanted.id);
    const problem = (message: string): Problem => ({ path: wanted.id, message });
    if (node === undefined || !node.running) return [problem('is not running')];
    if (node.bootstrap !== 'OPERATIONAL') {
      const why = node.bootstrapProblem === undefined ? '' : `: ${node.bootstrapProblem}`;
      return [problem(`bootstrap is at ${node.bootstrap ?? 'its start'}${why}`)];
    }
    if (node.generation === undefined) return [problem('has no committed state')];
    const segments = [...new Set(wanted.ports.map(({ segment }) => segment))];
    const expectsPaths = fleet.gateways.some(({ role }) => role !== wanted.role);
    return [
      ...(expectsPaths && node.paths.length === 0 ? [problem('has no path yet')] : []),
      ...node.paths
        .filter(({ state }) => state !== 'up')
        .map(({ id, state }) => problem(`path ${id} is ${state}`)),
      ...segments.flatMap((id) => {
        const state = node.segments.find((segment) => segment.id === id)?.state;
        return state === 'up' ? [] : [problem(`segment ${id} is ${state ?? 'not up'}`)];
      }),
      ...wanted.apps
        .filter(({ name }) => !node.apps.some((app) => app.name === name && app.state === 'running'))
        .map(({ name }) => problem(`app ${name} does not run`)),
      // Said last: what is above says most of it better, and a path that was just lost shows up here alone.
      ...(node.health === 'ok' ? [] : healthSentences(node).map(problem)),
    ];
  });
}

/** Why a node is not well, or undefined: who says nothing of itself is not well either. Pure. */
export function ailmentOf(node: LabNodeStatus): string | undefined {
  if (!node.running) return 'is not running';
  if (!isGateway(node)) return undefined;
  if (node.bootstrap === undefined) return 'its identity process does not answer';
  if (node.bootstrap !== 'OPERATIONAL') return `bootstrap is at ${node.bootstrap}`;
  if (node.health === undefined) return 'its agent does not answer';
  return node.health === 'ok' ? undefined : `is ${node.health}`;
}

function healthSentences(node: LabNodeStatus): readonly string[] {
  const sentences = node.conditions.map(({ sentence }) => sentence);
  return sentences.length > 0 ? sentences : [`is ${node.health ?? 'silent of its health'}`];
}

export interface Reach {
  readonly from: string;
  readonly what: string;
  readonly command: readonly string[];
}

/** What hosts must reach, as commands to run in them: each other within a segment, and its apps. Pure. */
export function wantedReach(topology: Topology, fleet: Fleet): Reach[] {
  const hosts = topology.nodes.flatMap(({ name, lanOf }) => {
    const ports = fleet.gateways.find(({ id }) => id === lanOf?.gateway)?.ports ?? [];
    const segment = ports.find(({ port }) => port === lanOf?.port)?.segment;
    if (lanOf === undefined || segment === undefined) return [];
    return [{ name, segment, address: splitCidr(lanOf.address).address }];
  });
  const apps = fleet.gateways.flatMap((gateway) => gateway.apps);
  return hosts.flatMap((host): Reach[] => [
    ...hosts
      .filter((other) => other.segment === host.segment && other.name > host.name)
      .map((other) => ({
        from: host.name,
        what: `${other.name} at ${other.address}`,
        command: ['ping', '-n', '-c', '1', '-W', '1', other.address],
      })),
    ...apps
      .filter((app) => app.segment === host.segment)
      .map((app) => ({
        from: host.name,
        what: `app ${app.name} at ${app.address}`,
        command: ['curl', '-s', '-f', '-o', '/dev/null', '--max-time', '2', `http://${app.address}/`],
      })),
  ]);
}

/** What one gateway is waited for, first causes first. Pure. */
function awaitedText(causes: readonly string[]): string {
  const shown: string[] = [];
  let chars = 0;
  for (const cause of causes) {
    const text = cause.length > CAUSE_CHARS ? `${cause.slice(0, CAUSE_CHARS - 1)}…` : cause;
    chars += text.length;
    if (shown.length > 0 && chars > LINE_CHARS) break;
    shown.push(text);
  }
  const more = causes.length - shown.length;
  return [...shown, ...(more === 0 ? [] : [`and ${more} more`])].join(', ');
}

/** Tells each change of what is still missing, and ends when nothing is. */
export async function awaitWorking(options: {
  readonly clock: Clock;
  readonly nodes: Pick<Nodes, 'exec'>;
  readonly topology: Topology;
  readonly fleet: Fleet;
  readonly gather: () => Promise<LabStatus>;
  readonly say: (line: string) => void;
  readonly deadlineMs: number;
}): Promise<LabStatus> {
  const { clock, nodes, fleet, say } = options;
  const told = new Map<string, string>();
  let pending = wantedReach(options.topology, fleet);
  for (;;) {
    const status = await options.gather();
    const problems = gatewayProblems(status, fleet);
    for (const { id } of fleet.gateways) {
      const own = problems.filter(({ path }) => path === id).map(({ message }) => message);
      const text = own.length === 0 ? 'in service' : awaitedText(own);
      if (told.get(id) !== text) say(`${id}: ${text}`);
      told.set(id, text);
    }
    const isLate = clock.monotonicMs() > options.deadlineMs;
    // At the end also where something else is amiss: only what was tried is said not to be reached.
    if (problems.length === 0 || isLate) {
      const tried = await Promise.allSettled(pending.map(({ from, command }) => nodes.exec(from, command)));
      const reached = pending.filter((_reach, i) => {
        const outcome = tried[i];
        return outcome?.status === 'fulfilled' && outcome.value.exitCode === 0;
      });
      for (const { from, what } of reached) say(`${from} reaches ${what}`);
      pending = pending.filter((reach) => !reached.includes(reach));
      if (pending.length === 0 && problems.length === 0) return status;
    }
    if (isLate) {
      throw new BranchboxError('lab/not-ready', {
        message: 'the lab did not come to work in time',
        mend: 'branchbox lab status, and lab exec NODE -- sh -c "tail /var/log/units/*.log"',
        problems: [
          ...problems,
          ...pending.map(({ from, what }) => ({ path: from, message: `does not reach ${what}` })),
        ],
      });
    }
    await clock.sleep(POLL_MS);
  }
}
