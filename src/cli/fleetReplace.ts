/**
 * Owns the words of `branchbox fleet replace`: another box takes the place of one that is dead or gone.
 */
import type { Command } from 'commander';
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import {
  ACCESS_EXAMPLE,
  callApi,
  gatewayPath,
  inventoryPath,
  jsonCall,
  type Readout,
  withReadout,
} from './controllerApi.ts';
import { print } from './terminal.ts';

const Done = z.object({ gatewayId: z.string(), serial: z.string(), replaced: z.string().optional() });

/** Of the new box's entry in the inventory. */
const Standing = z.object({ approved: z.boolean() });

export function registerReplace(fleet: Command): void {
  withReadout(fleet.command('replace <gateway> <serial>'))
    .description('gives the place of a gateway to another box, and revokes the one that had it')
    .option('--two-factor', 'the new box enrols once its installer typed a code (branchbox fleet activation)')
    .addHelpText('after', `\nexample: branchbox fleet replace branch1 SN-9 ${ACCESS_EXAMPLE}`)
    .action(async (gateway: string, serial: string, flags: Readout & { readonly twoFactor?: boolean }) => {
      const wish = { serial, twoFactor: flags.twoFactor === true };
      const text = await callApi(flags, jsonCall('POST', gatewayPath(gateway, '/replacement'), wish));
      const { gatewayId, replaced } = decodeJson(Done, text, "the controller's answer");
      const old = replaced === undefined ? 'the place was free' : `${replaced} is revoked`;
      if (flags.json === true) {
        print(text.trim());
        return;
      }
      // As the controller has it: a second factor may have been asked of this box before.
      const entry = await callApi(flags, { method: 'GET', path: inventoryPath(serial) });
      const { approved } = decodeJson(Standing, entry, "the controller's answer");
      const how = approved
        ? 'it enrols by itself'
        : `it enrols once its installer typed a code (branchbox fleet activation ${serial})`;
      print(`${gatewayId} is the place of ${serial} now; ${old}. Connect the new box: ${how}.`);
    });
}
