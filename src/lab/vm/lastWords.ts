/**
 * Owns what is told of a machine that did not come to work, for whoever reads it when the machine is gone: what it
 * printed last, whether it runs at all, and where its processors stand. Does not own judging it (readiness.ts).
 */
import { readFile } from 'node:fs/promises';
import { stripVTControlCharacters } from 'node:util';
import type { MachinePaths } from './machinePaths.ts';
import { askQmp } from './qmp.ts';

/** Enough for what it waits for or died of. */
const LAST_LINES = 12;

export async function lastWords({ serialLog, qmpSocket }: MachinePaths): Promise<readonly string[]> {
  const printed = await readFile(serialLog, 'latin1').catch(() => '');
  return [...lastLines(printed, LAST_LINES), await conditionOf(qmpSocket)];
}

/** Without colours and empty lines. Pure. */
export function lastLines(log: string, count: number): readonly string[] {
  return stripVTControlCharacters(log)
    .split(/[\r\n]+/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(-count);
}

/** QEMU pauses a machine whose disk is full, and one that sleeps without end looks like one that works. */
async function conditionOf(qmpSocket: string): Promise<string> {
  try {
    const status = await askQmp(qmpSocket, { execute: 'query-status' });
    const registers = await askQmp(qmpSocket, {
      execute: 'human-monitor-command',
      arguments: { 'command-line': 'info registers -a' },
    });
    return `(QEMU: ${JSON.stringify(status)}; ${processorsIn(String(registers)).join(', ')})`;
  } catch (error) {
    return `(QEMU does not say: ${error instanceof Error ? error.message : String(error)})`;
  }
}

/** Instruction pointer of each, and whether it sleeps, of `info registers -a`. Pure. */
export function processorsIn(registers: string): readonly string[] {
  return [...registers.matchAll(/\bRIP=([0-9a-f]+)[\s\S]*?\bHLT=([01])/g)].map(
    ([, pointer = '', halted], i) => `processor ${i} ${halted === '1' ? 'sleeps' : 'runs'} at ${pointer}`,
  );
}
