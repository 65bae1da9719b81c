/**
 * Owns a process of many boxes: the real identity process each, with a key and files of its own, in one namespace.
 * Entry: DIRECTORY FIRST COUNT ANSWER. Prints `ready`, begins at SIGUSR2, and writes to ANSWER what became of each.
 * Their files are in memory: a thousand boxes have a thousand disks, and one disk's flushes are not what is measured.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { runIdentity } from '../../src/bootstrap/main.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { createLinuxSystem } from '../../src/system/linux/system.ts';
import type { Logger } from '../../src/system/ports.ts';
import { ADDRESS, NAME } from '../lab/bootstrapWorld.ts';
import { memoryFiles } from '../unit/bootstrap/box.ts';

const [directory = '', first = '', count = '', answer = ''] = process.argv.slice(2);

export interface StormBox {
  readonly serial: string;
  /** From the start to the strict ping; undefined where it never got there. */
  readonly totalMs: number | undefined;
  /** State → how long it was in it, all visits together. */
  readonly states: Readonly<Record<string, number>>;
  /** Answers that said to come back later. */
  readonly busy: number;
  /** Anything else that went wrong, by its words without what differs. */
  readonly problems: readonly string[];
}

const { clock } = createLinuxSystem({ name: 'storm' });

async function loaded(index: number) {
  const box = join(directory, `box-${index}`);
  const files = memoryFiles(new Map());
  for (const name of readdirSync(join(box, 'factory'))) {
    await files.writeDurable(`/factory/${name}`, readFileSync(join(box, 'factory', name)));
  }
  return { files, box, serial: `SN-${index}` };
}

async function run({ files, box, serial }: Awaited<ReturnType<typeof loaded>>): Promise<StormBox> {
  const ending = new AbortController();
  const startedAtMs = performance.now();
  const states: Record<string, number> = {};
  const problems: string[] = [];
  let busy = 0;
  let since: { state: string; atMs: number } | undefined;
  let totalMs: number | undefined;
  const note = (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const atMs = performance.now();
    if (message === 'bootstrap state entered') {
      if (since !== undefined) states[since.state] = (states[since.state] ?? 0) + atMs - since.atMs;
      since = { state: String(fields['state']), atMs };
      if (since.state !== 'STRICT') return;
      totalMs = atMs - startedAtMs;
      ending.abort();
    }
    const problem = fields['problem'];
    if (typeof problem !== 'string') return;
    // PROVISIONAL tells each server's words, and then those of the round again.
    if (message === 'bootstrap step failed, trying again' && fields['state'] === 'PROVISIONAL') return;
    if (problem.includes(': busy')) busy += 1;
    else problems.push(`${since?.state ?? ''}: ${problem}`);
  };
  const log: Logger = { debug: note, info: note, warn: note, error: note };
  await runIdentity({
    system: { runner: createRunner(), files, clock, log },
    tpmTold: undefined,
    version: '0.0.0-storm',
    builtAtMs: Date.UTC(2026, 0, 1),
    signal: ending.signal,
    paths: {
      factory: '/factory',
      state: '/state',
      agent: '/agent',
      socket: join(box, 'identity.sock'),
      installerSocket: join(box, 'installer.sock'),
      portsSocket: join(box, 'agent.sock'),
      resetMarks: [],
      hardwareClocks: '/rtc',
      knownTime: '/run/known-time.json',
    },
    uplinks: {
      all: async () => [
        {
          ifname: 'wan1',
          address: ADDRESS.box,
          dns: [ADDRESS.names],
          bootstrapServers: [`https://${NAME}:8443`],
        },
      ],
    },
    cables: { inWanPort: async () => true, wanPorts: async () => [] },
  }).catch((thrown: unknown) => void problems.push(String(thrown)));
  return { serial, totalMs, states, busy, problems };
}

const boxes = [];
for (let i = 0; i < Number(count); i += 1) boxes.push(await loaded(Number(first) + i));
const go = once(process, 'SIGUSR2');
process.stdout.write('ready\n');
// A listener of a signal alone keeps no process.
const awake = setInterval(() => undefined, 1_000);
await go;
const results = await Promise.all(boxes.map(run));
clearInterval(awake);
writeFileSync(answer, JSON.stringify(results));
process.stdout.write('done\n');
process.exit(0);
