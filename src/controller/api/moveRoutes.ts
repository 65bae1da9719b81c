/**
 * Owns the routes of a move to another controller: inviting a box here, and ordering one away.
 */
import { z } from 'zod';
import { GatewayId } from '../../model/ids.ts';
import { Invitation, MOVE_WITHIN_S } from '../../model/move.ts';
import { InventoryEntry } from '../store/entities.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const SerialParams = z.object({ serial: InventoryEntry.shape.serial });
/** SHA-256 of the domain CA here: whoever orders the move is shown the same. */
const Made = z.strictObject({ invitation: Invitation, domainCaSha256: z.string() });
const Params = z.object({ id: GatewayId });
const Wish = z.strictObject({
  /** As the other controller made it. */
  invitation: Invitation,
  /** Seconds after which the box comes back by itself. */
  withinS: z.int().min(MOVE_WITHIN_S.min).max(MOVE_WITHIN_S.max).default(MOVE_WITHIN_S.usual),
});
const Ordered = z.strictObject({
  gatewayId: GatewayId,
  serial: z.string(),
  /** Host of the other controller, and what the box will be there. */
  to: z.string(),
  becomes: GatewayId,
  domainCaSha256: z.string(),
  /** Of the box. */
  message: z.string(),
});

export function registerMoveRoutes(api: Api, { store, invitations, orders, clock }: ApiContext): void {
  api.post(
    '/inventory/:serial/invitation',
    {
      schema: {
        operationId: 'inviteBox',
        summary: 'Makes what another controller needs to move a box here: onboarding information, signed',
        params: SerialParams,
        response: { 201: Made, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { serial } = request.params;
      const { invitation, domainCaSha256 } = await invitations.make(serial);
      await store.records.audit({
        atMs: clock.nowMs(),
        actor: ADMIN,
        action: 'invited',
        subject: serial,
        detail: `as ${invitation.gatewayId}`,
      });
      return reply.code(201).send({ invitation, domainCaSha256 });
    },
  );
  api.post(
    '/gateways/:id/move',
    {
      schema: {
        operationId: 'moveGateway',
        summary: 'Orders a gateway to move to another controller; it comes back by itself where that fails',
        params: Params,
        body: Wish,
        response: { 200: Ordered, ...ERROR_RESPONSES },
      },
    },
    async (request) => orders.move(request.params.id, request.body, ADMIN),
  );
}
