/**
 * Owns the words of `branchbox fleet disown`: letting go of a box at its manufacturer, for its next owner.
 */
import type { Command } from 'commander';
import {
  ACCESS_EXAMPLE,
  type Access,
  callApi,
  inventoryPath,
  jsonCall,
  withAccess,
} from './controllerApi.ts';
import { print } from './terminal.ts';

export function registerDisown(fleet: Command): void {
  withAccess(fleet.command('disown <serial>'))
    .description(
      'lets go of a box that was moved, sold or sent back: the manufacturer gives its next owner vouchers for it, and this one no more',
    )
    .requiredOption('--yes', 'that this is meant')
    .addHelpText('after', `\nexample: branchbox fleet disown SN-1 --yes ${ACCESS_EXAMPLE}`)
    .action(async (serial: string, access: Access) => {
      await callApi(access, jsonCall('POST', `${inventoryPath(serial)}/disowning`, { confirm: serial }));
      print(
        `${serial} is nobody's at its manufacturer: who asks for it next owns it. Bootstrap media that were made for it here count until they end`,
      );
    });
}
