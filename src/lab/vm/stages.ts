/**
 * Owns how far a machine has come, read from its serial log: what the firmware, the kernel and init print there.
 * Pure but for the following. Does not own when it is at work: that is asked of its own processes (readiness.ts).
 */
import { existsSync, readFileSync } from 'node:fs';
import type { Clock } from '../../system/ports.ts';

/** In their order. The text is the first that the stage prints, and no other does. */
const STAGES = [
  { stage: 'firmware starts the boot loader', text: 'BdsDxe: starting' },
  { stage: 'kernel runs', text: 'Linux version' },
  { stage: 'root is verified', text: 'branchbox-initrd: root is' },
  { stage: 'init runs', text: 'systemd[1]: systemd ' },
  { stage: 'data partition is there', text: 'Mounted var.mount' },
  { stage: 'multi-user', text: 'Reached target multi-user.target' },
] as const;
type Stage = (typeof STAGES)[number]['stage'];

/** Stages that the newest boot in the log has reached: a log holds every boot of the machine, one after the other. */
export function stagesIn(log: string): readonly Stage[] {
  const from = Math.max(0, log.lastIndexOf(STAGES[0].text));
  const boot = log.slice(from);
  return STAGES.filter(({ text }) => boot.includes(text)).map(({ stage }) => stage);
}

const LOOK_MS = 500;

/** Tells each stage of the machine's first boot once, until the signal aborts. */
export async function followStages(
  clock: Clock,
  options: {
    readonly serialLog: string;
    readonly onStage: (stage: Stage) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const told = new Set<Stage>();
  while (!options.signal.aborted) {
    const log = existsSync(options.serialLog) ? readFileSync(options.serialLog, 'latin1') : '';
    for (const stage of stagesIn(log)) {
      if (!told.has(stage)) options.onStage(stage);
      told.add(stage);
    }
    await clock.sleep(LOOK_MS, options.signal).catch(() => undefined);
  }
}
