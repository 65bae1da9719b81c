/**
 * Owns `lab cut` and `lab heal`. Does not own how an uplink is cut (lab/faults.ts).
 */
import { createFaults } from '../lab/faults.ts';
import { planWiring } from '../lab/wiring.ts';
import { BranchboxError } from '../model/errors.ts';
import type { CutOptions } from './lab.ts';
import { openLab } from './labUp.ts';

export async function labCut(lab: string, node: string, uplink: string, options: CutOptions): Promise<void> {
  if (options.carrier === true && (options.loss !== undefined || options.direction !== undefined)) {
    throw new BranchboxError('cli/usage', {
      message: '--carrier takes the whole link down: --loss and --direction have nothing left to do',
      mend: 'name one or the other',
    });
  }
  const faults = await openFaults(lab);
  // --carrier alone takes the carrier, and nothing needs to be dropped beside it.
  const lossPercent = options.loss ?? (options.carrier === true ? 0 : 100);
  await faults.cut(node, uplink, {
    lossPercent,
    direction: options.direction,
    carrier: options.carrier === true,
  });
}

export async function labHeal(lab: string, node: string, uplink: string): Promise<void> {
  await (await openFaults(lab)).heal(node, uplink);
}

async function openFaults(lab: string) {
  const { nodes, machines, topology } = await openLab(lab);
  return createFaults({ nodes, machines, wiring: planWiring(topology) });
}
