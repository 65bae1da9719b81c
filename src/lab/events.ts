/**
 * Owns `lab events`: what happens in all nodes, as it happens, from the supervisors' event files on disk.
 * Does not own the gateways' own events: `lab exec NODE -- branchbox status --events`, or the controller's API.
 */
import { createReadStream, existsSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { type LabPaths, nodePaths } from './paths.ts';

/** inotify does not tell of a file that is not there yet. */
const LOOK_MS = 1_000;

/** A line of `lab events --json`: a unit that changed its state, or what the supervisor could not do. */
export const LabEvent = z.strictObject({
  node: z.string(),
  time: z.iso.datetime(),
  unit: z.string().optional(),
  state: z.string().optional(),
  mainPid: z.int().optional(),
  restarts: z.int().optional(),
  /** Why it failed or was restarted last. */
  reason: z.string().optional(),
  problem: z.string().optional(),
});
export type LabEvent = z.output<typeof LabEvent>;

/** undefined where it is none: a file that is cut off while it is read gives half a line. Pure. */
export function parseEvent(node: string, line: string): LabEvent | undefined {
  try {
    return LabEvent.safeParse({ node, ...JSON.parse(line) }).data;
  } catch {
    return undefined;
  }
}

/** Each event from now on, until the signal aborts. */
export function followEvents(
  paths: LabPaths,
  nodes: readonly string[],
  onEvent: (event: LabEvent) => void,
  signal: AbortSignal,
): void {
  for (const node of nodes) {
    const file = join(nodePaths(paths, node).var, 'log/units/events.jsonl');
    const onLine = (line: string): void => {
      const event = parseEvent(node, line);
      if (event !== undefined) onEvent(event);
    };
    followFile(file, onLine, signal);
  }
}

function followFile(file: string, onLine: (line: string) => void, signal: AbortSignal): void {
  let at = existsSync(file) ? statSync(file).size : 0;
  let reading = false;
  const read = (): void => {
    if (reading || !existsSync(file)) return;
    const { size } = statSync(file);
    // Cut off by whoever keeps it bounded.
    if (size < at) at = 0;
    if (size === at) return;
    reading = true;
    const lines = createInterface({ input: createReadStream(file, { start: at, end: size - 1 }) });
    at = size;
    lines.on('line', onLine);
    lines.on('close', () => {
      reading = false;
      read();
    });
  };
  const timer = setInterval(() => {
    if (!existsSync(file)) return;
    clearInterval(timer);
    read();
    watch(file, { signal }, read).on('error', () => undefined);
  }, LOOK_MS);
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
