/**
 * Owns waking an emulated machine that QEMU lost. With two processors QEMU 10.0 loses the end of an interrupt now and
 * then: a processor's local APIC keeps the vector in service, lets no other through, and the machine sleeps for ever
 * (seen: ISR 236, IRR 33 34 236, both processors in HLT). No system that runs halts with a vector in service: it says
 * that it is done before it sleeps. So what is found twice is no box's doing, and is reset as by its reset button.
 */
import { labPaths } from '../../src/lab/paths.ts';
import { machinePaths } from '../../src/lab/vm/machinePaths.ts';
import { askQmp } from '../../src/lab/vm/qmp.ts';
import { noted } from '../gates.ts';

const LOOK_EVERY_MS = 20_000;
const PROCESSORS = [0, 1];

/** Of `info lapic N`: the vectors in service; undefined where none is. Pure. */
export function inService(lapic: string): string | undefined {
  const vectors = /^ISR\s+([0-9][0-9 ]*?)\s*$/m.exec(lapic)?.[1];
  return vectors;
}

/** Of `info registers -a`: whether processor `index` sleeps. Pure. */
export function sleeps(registers: string, index: number): boolean {
  return [...registers.matchAll(/\bHLT=([01])/g)][index]?.[1] === '1';
}

/** Until the returned function is called. */
export function watchMachine(lab: string, node: string): () => void {
  const { qmpSocket } = machinePaths(labPaths(lab), node);
  const monitor = async (words: string): Promise<string> =>
    String(
      await askQmp(qmpSocket, {
        execute: 'human-monitor-command',
        arguments: { 'command-line': words },
      }),
    );
  let before = '';
  let busy = false;
  const look = async (): Promise<void> => {
    const registers = await monitor('info registers -a');
    let lost = '';
    for (const index of PROCESSORS) {
      const vectors = sleeps(registers, index) ? inService(await monitor(`info lapic ${index}`)) : undefined;
      if (vectors !== undefined) lost += `processor ${index} sleeps with vector ${vectors} in service; `;
    }
    if (lost !== '' && lost === before) {
      await askQmp(qmpSocket, { execute: 'system_reset' });
      console.log(noted(`${node} was lost by QEMU and is reset: ${lost}`));
      lost = '';
    }
    before = lost;
  };
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    look()
      // Off, or between two starts.
      .catch(() => (before = ''))
      .finally(() => (busy = false));
  }, LOOK_EVERY_MS);
  return () => clearInterval(timer);
}
