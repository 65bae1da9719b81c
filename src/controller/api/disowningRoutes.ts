/**
 * Owns the route by which this owner lets go of a box at its manufacturer, who gives vouchers for it to one owner at a time:
 * one that was moved, sold or sent back gets none for its next owner before.
 * Does not own who gets a voucher (manufacturer/vouchers) nor taking the box out of the fleet.
 */
import { z } from 'zod';
import { BranchboxError } from '../../model/errors.ts';
import { InventoryEntry } from '../store/entities.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const Serial = InventoryEntry.shape.serial;
const Params = z.object({ serial: Serial });
/** Named twice, as for a factory reset: whoever asks next owns the box. */
const Confirmation = z.strictObject({ confirm: Serial });
const Answer = z.strictObject({ serial: z.string() });

export function registerDisowningRoutes(api: Api, { store, fleet, manufacturer, clock }: ApiContext): void {
  api.post(
    '/inventory/:serial/disowning',
    {
      schema: {
        operationId: 'disownBox',
        summary:
          'Lets go of a box at its manufacturer: its next owner gets vouchers for it, and this one no more',
        params: Params,
        body: Confirmation,
        response: { 200: Answer, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      const { serial } = request.params;
      if (request.body.confirm !== serial) {
        throw new BranchboxError('model/invalid', { message: `confirm does not name ${serial}` });
      }
      // Known or not: a box that was moved away may be long forgotten here.
      const place = (await fleet.places()).find((held) => held.serial === serial);
      if (place !== undefined) {
        throw new BranchboxError('controller/conflict', {
          message: `${serial} is the box of ${place.id}: after a factory reset it would find no way back`,
          mend: `take it out of the fleet first, or give its place to another box: branchbox fleet replace ${place.id} SERIAL`,
        });
      }
      await manufacturer.release(serial);
      await store.records.audit({
        atMs: clock.nowMs(),
        actor: ADMIN,
        action: 'disowned',
        subject: serial,
        detail: '',
      });
      return { serial };
    },
  );
}
