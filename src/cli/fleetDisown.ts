/**
 * Owns the words of `branchbox fleet disown`: letting go of a box at its manufacturer, for its next owner.
 */
import type { Command } from 'commander';
import {
  ACCESS_EXAMPLE,
  callApi,
  inventoryPath,
  jsonCall,
  printAnswer,
  type Readout,
  withReadout,
} from './controllerApi.ts';

export function registerDisown(fleet: Command): void {
  withReadout(fleet.command('disown <serial>'))
    .description(
      'lets go of a box that was moved, sold or sent back: the manufacturer gives its next owner vouchers for it, and this one no more',
    )
    .requiredOption('--yes', 'that this is meant')
    .addHelpText('after', `\nexample: branchbox fleet disown SN-1 --yes ${ACCESS_EXAMPLE}`)
    .action(async (serial: string, flags: Readout) => {
      const call = jsonCall('POST', `${inventoryPath(serial)}/disowning`, { confirm: serial });
      printAnswer(
        flags,
        await callApi(flags, call),
        `${serial} is nobody's at its manufacturer: who asks for it next owns it. Bootstrap media that were made for it here count until they end`,
      );
    });
}
