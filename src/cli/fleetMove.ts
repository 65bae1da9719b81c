/**
 * Owns the words of `branchbox fleet invite` and `branchbox fleet move`: a box goes from one controller to another, by a file
 * that the next one writes and the present one reads.
 */
import type { Command } from 'commander';
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { Invitation, INVITATION_MAX_BYTES } from '../model/move.ts';
import { createFiles } from '../system/linux/files.ts';
import {
  ACCESS_EXAMPLE,
  callApi,
  gatewayPath,
  inventoryPath,
  jsonCall,
  printAnswer,
  readInput,
  type Readout,
  withReadout,
} from './controllerApi.ts';
import { spanS } from './span.ts';

const Made = z.object({ invitation: Invitation, domainCaSha256: z.string() });
const Ordered = z.object({
  to: z.string(),
  becomes: z.string(),
  domainCaSha256: z.string(),
  message: z.string(),
});

export function registerMove(fleet: Command): void {
  withReadout(fleet.command('invite <serial>'))
    .description('as the next controller of a box that has its place here: writes what its present one needs')
    .requiredOption('--out <file>', 'the invitation; it holds no secret')
    .addHelpText('after', `\nexample: branchbox fleet invite SN-1 --out SN-1.invitation ${ACCESS_EXAMPLE}`)
    .action(async (serial: string, flags: Readout & { readonly out: string }) => {
      const text = await callApi(flags, jsonCall('POST', `${inventoryPath(serial)}/invitation`, {}));
      const { invitation, domainCaSha256 } = decodeJson(Made, text, "the controller's answer");
      await createFiles().writeDurable(flags.out, `${JSON.stringify(invitation, null, 1)}\n`, 0o644);
      printAnswer(
        flags,
        text,
        `${serial} is invited as ${invitation.gatewayId}: ${flags.out}\ndomain CA ${domainCaSha256}: who orders the move is shown the same`,
      );
    });
  withReadout(fleet.command('move <gateway>'))
    .description(
      'orders a gateway to move to the controller that invited it; where that does not take it, it stays',
    )
    .requiredOption('--to <file>', 'the invitation (branchbox fleet invite, at the other controller)')
    .option('--within <span>', 'when it comes back by itself, from 1m to 60m', '15m')
    .addHelpText(
      'after',
      `\nexample: branchbox fleet move branch1 --to SN-1.invitation --within 15m ${ACCESS_EXAMPLE}`,
    )
    .action(async (gateway: string, flags: Readout & { readonly to: string; readonly within: string }) => {
      const invitation = decodeJson(Invitation, await readInput(flags.to), flags.to, INVITATION_MAX_BYTES);
      const wish = { invitation, withinS: spanS('--within', flags.within, ['1m', '60m']) };
      const text = await callApi(flags, jsonCall('POST', gatewayPath(gateway, '/move'), wish));
      const { to, becomes, domainCaSha256, message } = decodeJson(Ordered, text, "the controller's answer");
      printAnswer(
        flags,
        text,
        `${gateway} goes to ${to} as ${becomes}, under the domain CA ${domainCaSha256}\nthe box says: ${message}\nWhere it comes back its health says why (branchbox fleet status); once the other controller has it, take it out of this fleet.`,
      );
    });
}
