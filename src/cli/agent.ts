/**
 * Owns the words of `branchbox agent`: the process that holds a box to its desired state.
 */
import type { Command } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { runAgent } from '../agent/main.ts';
import { createCostMeter } from '../agent/ownCost.ts';
import { AGENT_PATHS } from '../agent/paths.ts';
import { createClock } from '../system/linux/clock.ts';
import { createLinuxSystem } from '../system/linux/system.ts';

export function register(program: Command): void {
  program
    .command('agent')
    .description('the agent of this box (started by branchbox-agent.service)')
    .action(async () => {
      const ending = new AbortController();
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => ending.abort());
      const cost = createCostMeter(createClock());
      await runAgent({
        system: createLinuxSystem({ name: 'agent', onSpawn: cost.countChild }),
        paths: AGENT_PATHS,
        version: packageJson.version,
        cost,
        signal: ending.signal,
      });
    });
}
