/**
 * Owns many inputs for many parsers: a process for each parser, which an input that hangs or takes all memory ends, and
 * the next one behind it. A thread would not do: V8 aborts all of its process where one large allocation finds no room.
 * Does not own what is wrong with an input (judge.ts).
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createJudge } from './judge.ts';
import type { FuzzParser } from './parser.ts';
import type { Finding, SliceResult } from './slice.ts';
import type { WorkerMessage, WorkerTask } from './worker.ts';

/** An input that is under way so long hangs, however busy the machine is: the budget of work is 0.2 s. */
const HANG_MS = 60_000;
const LOOK_MS = 1_000;
/** Of a process's heap: the largest input is below 2 MiB. */
const HEAP_MIB = 384;
const MAX_FINDINGS = 10;
/** Of what a process says at its end: V8 begins with why. */
const MAX_SAID = 16 * 1024;

export interface ParserReport extends SliceResult {
  readonly parser: string;
  readonly inputs: number;
  readonly durationMs: number;
}

export interface Campaign {
  /** Module that a process has its parser from; the table, where none is said. */
  readonly table?: string;
  /** Default a minute. */
  readonly hangMs?: number;
  /** Of a parser, which is then left; default 10. */
  readonly maxFindings?: number;
  readonly parsers: readonly FuzzParser[];
  readonly inputs: number;
  readonly seed: number;
  /** At a time. */
  readonly processes: number;
  readonly onReport: (report: ParserReport) => void;
  readonly onPlace: (parser: string, done: number, of: number) => void;
}

/** In the parsers' order. */
export async function runCampaign(campaign: Campaign): Promise<readonly ParserReport[]> {
  const { parsers, inputs } = campaign;
  const shares = parsers.reduce((sum, { share }) => sum + share, 0);
  const waiting = [...parsers];
  const reports: ParserReport[] = [];
  // Each process reads the same modules: compiled once, it is ready in half the time.
  const compiled = mkdtempSync(join(tmpdir(), 'branchbox-fuzz-'));
  const work = async (): Promise<void> => {
    for (let parser = waiting.shift(); parser !== undefined; parser = waiting.shift()) {
      const report = await runParser(parser, Math.ceil((inputs * parser.share) / shares), {
        ...campaign,
        compiled,
      });
      reports.push(report);
      campaign.onReport(report);
    }
  };
  await Promise.all(Array.from({ length: campaign.processes }, work)).finally(() =>
    rmSync(compiled, { recursive: true }),
  );
  return parsers.flatMap(({ name }) => reports.filter((report) => report.parser === name));
}

interface Running extends Campaign {
  /** Directory of what processes compiled. */
  readonly compiled: string;
}

async function runParser(parser: FuzzParser, inputs: number, campaign: Running): Promise<ParserReport> {
  const { seed } = campaign;
  const startedAtMs = performance.now();
  const findings: Finding[] = [];
  const refused: Record<string, number> = {};
  let taken = 0;
  let from = 0;
  const most = campaign.maxFindings ?? MAX_FINDINGS;
  while (from < inputs && findings.length < most) {
    const maxFindings = most - findings.length;
    const table = campaign.table ?? new URL('parsers.ts', import.meta.url).href;
    const task = { table, parser: parser.name, seed, from, to: inputs, maxFindings };
    const ended = await runProcess(task, campaign);
    findings.push(...ended.findings);
    taken += ended.taken;
    for (const [code, count] of Object.entries(ended.refused)) refused[code] = (refused[code] ?? 0) + count;
    if (ended.stoppedAt === undefined) break;
    const { index, what } = ended.stoppedAt;
    const judge = await createJudge(parser);
    const inputBase64 = Buffer.from(judge.input(seed, index)).toString('base64');
    findings.push({ parser: parser.name, seed, index, what, inputBase64 });
    from = index + 1;
  }
  const durationMs = Math.round(performance.now() - startedAtMs);
  return { parser: parser.name, inputs, taken, refused, findings, durationMs };
}

interface Ended extends SliceResult {
  readonly stoppedAt?: { readonly index: number; readonly what: string };
}

async function runProcess(task: WorkerTask, campaign: Running): Promise<Ended> {
  const directory = mkdtempSync(join(tmpdir(), 'branchbox-fuzz-'));
  const place = openSync(join(directory, 'place'), 'w+');
  rmSync(directory, { recursive: true });
  const indexNow = (): number => {
    const bytes = Buffer.alloc(4);
    readSync(place, bytes, 0, bytes.length, 0);
    return bytes.readUInt32LE();
  };
  const child = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), [JSON.stringify(task)], {
    // The test runner's own options are none of its business.
    execArgv: [`--max-old-space-size=${HEAP_MIB}`],
    env: { ...process.env, NODE_COMPILE_CACHE: campaign.compiled },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc', place],
  });
  const hangMs = campaign.hangMs ?? HANG_MS;
  const findings: Finding[] = [];
  let result: SliceResult | undefined;
  let stopped: string | undefined;
  let said = '';
  let sinceMs = performance.now();
  let last = -1;
  const watch = setInterval(() => {
    const index = indexNow();
    campaign.onPlace(task.parser, index, task.to);
    if (index !== last) {
      last = index;
      sinceMs = performance.now();
    } else if (performance.now() - sinceMs > hangMs) {
      stopped = `hangs: not ended after ${hangMs / 1000} s`;
      child.kill('SIGKILL');
    }
  }, LOOK_MS);
  child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString('latin1')).slice(0, MAX_SAID)));
  child.on('message', (message: WorkerMessage) => {
    if (message.finding !== undefined) findings.push(message.finding);
    result = message.result ?? result;
  });
  const [exitCode, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearInterval(watch);
  const index = indexNow();
  closeSync(place);
  if (result !== undefined) return result;
  const why = /^FATAL ERROR: .*|^\w*Error: .*/m.exec(said)?.[0] ?? `${signal ?? exitCode}`;
  const what = stopped ?? `ended its process: ${why}`;
  return { taken: 0, refused: {}, findings, stoppedAt: { index, what } };
}
