/** A process of `npm run fuzz`: one stretch of one parser, its place told in a file, so that a hang or a death has a number. */
import { writeSync } from 'node:fs';
import { createJudge } from './judge.ts';
import type { FuzzParser } from './parser.ts';
import { type Finding, runSlice, type SliceResult } from './slice.ts';

export interface WorkerTask {
  /** URL of a module whose `createParsers` has the parser. */
  readonly table: string;
  readonly parser: string;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  readonly maxFindings: number;
}
export interface WorkerMessage {
  readonly finding?: Finding;
  readonly result?: SliceResult;
}

/** Beside the three standard streams and the channel for messages. */
export const PLACE_FD = 4;

const tell = (message: WorkerMessage, sent = (): void => {}): void => void process.send?.(message, sent);
const [, , words = ''] = process.argv;
const task = JSON.parse(words) as WorkerTask;
const { createParsers } = (await import(task.table)) as { createParsers: () => readonly FuzzParser[] };
const parser = createParsers().find(({ name }) => name === task.parser);
if (parser === undefined) throw new Error(`there is no parser ${task.parser}`);
const place = Buffer.alloc(4);
const result = await runSlice(await createJudge(parser), {
  ...task,
  onInput(index) {
    place.writeUInt32LE(index);
    writeSync(PLACE_FD, place, 0, place.length, 0);
  },
  onFinding: (finding) => tell({ finding }),
});
// Not before it is through: what waits behind large findings would be lost, and this process taken for one that died.
tell({ result }, () => process.disconnect());
