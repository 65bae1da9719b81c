/**
 * Owns the route by which another box gets a gateway's place.
 */
import { z } from 'zod';
import { GatewayId } from '../../model/ids.ts';
import { replaceBox } from '../replacement.ts';
import { InventoryEntry } from '../store/entities.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const Params = z.object({ id: GatewayId });
const Wanted = z.strictObject({
  /** Of the new box; made known where it is not yet. */
  serial: InventoryEntry.shape.serial,
  /** It enrols once its installer typed a code. */
  twoFactor: z.boolean().default(false),
});
const Answer = z.strictObject({
  gatewayId: GatewayId,
  serial: z.string(),
  /** The box that had the place, revoked now. */
  replaced: z.string().optional(),
});

export function registerReplacementRoutes(api: Api, context: ApiContext): void {
  api.post(
    '/gateways/:id/replacement',
    {
      schema: {
        operationId: 'replaceGatewayBox',
        summary: 'Gives the place of a gateway to another box and revokes the one that had it',
        params: Params,
        body: Wanted,
        response: { 200: Answer, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      const { serial, twoFactor } = request.body;
      const { replaced, ...done } = await replaceBox(context, {
        gatewayId: request.params.id,
        serial,
        twoFactor,
        actor: ADMIN,
      });
      return { ...done, ...(replaced === undefined ? {} : { replaced }) };
    },
  );
}
