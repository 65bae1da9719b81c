/**
 * Owns the footprint bench: what Branchbox's own processes cost a gateway at rest, beside what FRR and the container
 * engine cost the same gateway in the same minute.
 */
import { elapse, inNode, jsonIn, lab, until } from '../lab/mainjob/lab.ts';
import { rowOf, type Row } from './result.ts';

const NODE = 'branch1';
const REST_MS = 60_000;

interface StatusOfAgent {
  readonly health: unknown;
  readonly agent: { readonly childProcessesPerMinute: number };
}

interface Sample {
  readonly rssKiB: number;
  readonly cpuTicks: number;
}

/** Whose a process is, and which of theirs. */
type Part = 'branchbox/agent' | 'branchbox/identity' | 'frr' | 'docker' | 'wireguard-go';

/** Resident memory and CPU ticks of every process of the node that is a part of what is measured. */
async function sample(): Promise<ReadonlyMap<Part, Sample>> {
  const text = await inNode(
    NODE,
    'sh',
    '-c',
    'for p in /proc/[0-9]*; do printf "%s\\t" "$(tr "\\0" " " <$p/cmdline 2>/dev/null)"; cat $p/stat 2>/dev/null || echo; done',
  );
  const sums = new Map<Part, { rssKiB: number; cpuTicks: number }>();
  for (const line of text.split('\n')) {
    const [command = '', stat = ''] = line.split('\t');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const part = partOf(command);
    if (part === undefined || fields.length < 22) continue;
    const sum = sums.get(part) ?? { rssKiB: 0, cpuTicks: 0 };
    sums.set(part, {
      rssKiB: sum.rssKiB + Number(fields[21]) * 4,
      cpuTicks: sum.cpuTicks + Number(fields[11]) + Number(fields[12]),
    });
  }
  return sums;
}

function partOf(command: string): Part | undefined {
  if (/branchbox\.mjs agent/.test(command)) return 'branchbox/agent';
  if (/branchbox\.mjs identity/.test(command)) return 'branchbox/identity';
  if (/(zebra|bgpd|bfdd|staticd|mgmtd)/.test(command)) return 'frr';
  if (/(dockerd|containerd)/.test(command)) return 'docker';
  if (/wireguard-go/.test(command)) return 'wireguard-go';
  return undefined;
}

/** A box tests its uplinks by itself, once, up to a minute after its first committed state: until then it does not rest. */
const cameToRest = (): Promise<unknown> =>
  until(
    'the box has tested its uplinks',
    async () =>
      (await jsonIn<{ readonly occasion: string }>(NODE, 'branchbox', 'test', 'uplinks', '--last', '--json'))
        .occasion === 'after-bootstrap',
    180_000,
  );

export async function measureFootprint(): Promise<readonly Row[]> {
  await cameToRest();
  const before = await sample();
  await elapse(REST_MS);
  const after = await sample();
  const { agent: rested } = await jsonIn<StatusOfAgent>(NODE, 'branchbox', 'status', '--json');
  const rows: Row[] = [];
  for (const [part, { rssKiB, cpuTicks }] of after) {
    const [subject = part, process] = part.split('/');
    const kase = process === undefined ? 'at-rest' : `${process}-at-rest`;
    rows.push(rowOf(subject, kase, 'resident-memory', 'MiB', [rssKiB / 1024]));
    // USER_HZ is 100 on every Linux we run on: a tick is 10 ms.
    const cpuMs = (cpuTicks - (before.get(part)?.cpuTicks ?? 0)) * 10;
    rows.push(rowOf(subject, kase, 'cpu', 'percent-of-a-core', [(cpuMs / REST_MS) * 100]));
  }
  // The agent's own count of the last minute, which was the rest above: nobody outside sees a process come and go.
  rows.push(
    rowOf('branchbox', 'agent-at-rest', 'child-processes', '1/min', [rested.childProcessesPerMinute]),
  );
  const startedAtMs = performance.now();
  await inNode(NODE, 'systemctl', 'restart', 'branchbox-agent.service');
  await until(
    'the agent answers',
    async () => (await jsonIn<StatusOfAgent>(NODE, 'branchbox', 'status', '--json')).health !== undefined,
  );
  rows.push(
    rowOf('branchbox', 'restart-of-the-agent', 'start-to-answer', 'ms', [performance.now() - startedAtMs]),
  );
  const nodeStartedAtMs = performance.now();
  await lab('restart', NODE);
  await until('red reaches red', async () =>
    (await inNode('branch1-red', 'ping', '-c', '1', '-W', '1', '10.10.0.12')).includes(' 0% packet loss'),
  );
  rows.push(
    rowOf('branchbox', 'restart-of-the-gateway', 'start-to-tenant-traffic', 'ms', [
      performance.now() - nodeStartedAtMs,
    ]),
  );
  return rows;
}
