/**
 * Owns many inputs for many parsers: a thread for each parser, ended where an input hangs or takes all memory, and begun
 * again behind it. Does not own what is wrong with an input (judge.ts).
 */
import { Worker } from 'node:worker_threads';
import { createJudge } from './judge.ts';
import type { FuzzParser } from './parser.ts';
import type { Finding, SliceResult } from './slice.ts';
import type { WorkerTask } from './worker.ts';

/** An input that is under way so long hangs, however busy the machine is: the budget of work is 0.2 s. */
const HANG_MS = 60_000;
const LOOK_MS = 1_000;
/** Of a thread's heap: the largest input is below 2 MiB. */
const HEAP_MIB = 384;
const MAX_FINDINGS = 10;

export interface ParserReport extends SliceResult {
  readonly parser: string;
  readonly inputs: number;
  readonly durationMs: number;
}

export interface Campaign {
  /** Module that a thread has its parser from; the table, where none is said. */
  readonly table?: string;
  /** Default a minute. */
  readonly hangMs?: number;
  /** Of a parser, which is then left; default 10. */
  readonly maxFindings?: number;
  readonly parsers: readonly FuzzParser[];
  readonly inputs: number;
  readonly seed: number;
  readonly threads: number;
  readonly onReport: (report: ParserReport) => void;
  readonly onPlace: (parser: string, done: number, of: number) => void;
}

/** In the parsers' order. */
export async function runCampaign(campaign: Campaign): Promise<readonly ParserReport[]> {
  const { parsers, inputs } = campaign;
  const shares = parsers.reduce((sum, { share }) => sum + share, 0);
  const waiting = [...parsers];
  const reports: ParserReport[] = [];
  const work = async (): Promise<void> => {
    for (let parser = waiting.shift(); parser !== undefined; parser = waiting.shift()) {
      const report = await runParser(parser, Math.ceil((inputs * parser.share) / shares), campaign);
      reports.push(report);
      campaign.onReport(report);
    }
  };
  await Promise.all(Array.from({ length: campaign.threads }, work));
  return parsers.flatMap(({ name }) => reports.filter((report) => report.parser === name));
}

async function runParser(parser: FuzzParser, inputs: number, campaign: Campaign): Promise<ParserReport> {
  const { seed } = campaign;
  const startedAtMs = performance.now();
  const findings: Finding[] = [];
  const refused: Record<string, number> = {};
  const judge = await createJudge(parser);
  let taken = 0;
  let from = 0;
  const most = campaign.maxFindings ?? MAX_FINDINGS;
  while (from < inputs && findings.length < most) {
    const maxFindings = most - findings.length;
    const place = new SharedArrayBuffer(4);
    const table = campaign.table ?? new URL('parsers.ts', import.meta.url).href;
    const task = { table, parser: parser.name, seed, from, to: inputs, maxFindings, place };
    const ended = await runThread(task, campaign);
    findings.push(...ended.findings);
    taken += ended.taken;
    for (const [code, count] of Object.entries(ended.refused)) refused[code] = (refused[code] ?? 0) + count;
    if (ended.stoppedAt === undefined) break;
    const { index, what } = ended.stoppedAt;
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

function runThread(task: WorkerTask, campaign: Campaign): Promise<Ended> {
  const thread = new Worker(new URL('worker.ts', import.meta.url), {
    workerData: task,
    // The test runner's own are none of a thread's business.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  });
  const place = new Int32Array(task.place);
  const hangMs = campaign.hangMs ?? HANG_MS;
  const findings: Finding[] = [];
  let result: SliceResult | undefined;
  let stopped: string | undefined;
  let sinceMs = performance.now();
  let last = -1;
  const watch = setInterval(() => {
    const index = Atomics.load(place, 0);
    campaign.onPlace(task.parser, index, task.to);
    if (index !== last) {
      last = index;
      sinceMs = performance.now();
    } else if (performance.now() - sinceMs > hangMs) {
      stopped = `hangs: not ended after ${hangMs / 1000} s`;
      void thread.terminate();
    }
  }, LOOK_MS);
  return new Promise((resolve) => {
    thread.on('message', (message: { readonly finding?: Finding; readonly result?: SliceResult }) => {
      if (message.finding !== undefined) findings.push(message.finding);
      result = message.result ?? result;
    });
    thread.on('error', (error) => {
      stopped ??= `ended its thread: ${error instanceof Error ? error.message : String(error)}`;
    });
    thread.on('exit', () => {
      clearInterval(watch);
      if (result !== undefined) return resolve(result);
      const index = Atomics.load(place, 0);
      resolve({ taken: 0, refused: {}, findings, stoppedAt: { index, what: stopped ?? 'ended its thread' } });
    });
  });
}
