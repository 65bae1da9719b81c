/** A thread of `npm run fuzz`: one stretch of one parser, its place told in shared memory, so that a hang has a number. */
// oxlint-disable unicorn/require-post-message-target-origin -- a thread's port is no window
import { parentPort, workerData } from 'node:worker_threads';
import { createJudge } from './judge.ts';
import type { FuzzParser } from './parser.ts';
import { runSlice } from './slice.ts';

export interface WorkerTask {
  /** URL of a module whose `createParsers` has the parser. */
  readonly table: string;
  readonly parser: string;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  readonly maxFindings: number;
  /** One Int32: the input under way. */
  readonly place: SharedArrayBuffer;
}

const task = workerData as WorkerTask;
const { createParsers } = (await import(task.table)) as { createParsers: () => readonly FuzzParser[] };
const parser = createParsers().find(({ name }) => name === task.parser);
if (parser === undefined) throw new Error(`there is no parser ${task.parser}`);
const place = new Int32Array(task.place);
const result = await runSlice(await createJudge(parser), {
  ...task,
  onInput: (index) => void Atomics.store(place, 0, index),
  onFinding: (finding) => parentPort?.postMessage({ finding }),
});
parentPort?.postMessage({ result });
