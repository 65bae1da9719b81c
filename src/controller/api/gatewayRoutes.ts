/**
 * Owns the routes that tell what gateways should be and are: overview, status, events, desired state, audit log.
 */
import { z } from 'zod';
import { decodeJson } from '../../model/decode.ts';
import { DESIRED_MAX_BYTES, DesiredState } from '../../model/desired.ts';
import { BranchboxError } from '../../model/errors.ts';
import { GatewayId } from '../../model/ids.ts';
import { GatewayEvent, GatewayStatus } from '../../model/status.ts';
import { FleetOverview, overviewOf } from '../overview.ts';
import { gatewayOf } from '../fleetService.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const Params = z.object({ id: GatewayId });
const Place = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional();
/** `after` and `before` are numbers of entries that were read before: the way through all that is kept, either way. */
const Paging = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  after: Place,
  before: Place,
});
const Events = z.array(
  GatewayEvent.extend({ number: z.int(), gatewayId: z.string(), receivedAtMs: z.number() }),
);
const StatusAnswer = z.strictObject({ receivedAtMs: z.number(), status: GatewayStatus });
const DesiredAnswer = z.strictObject({ digest: z.string(), state: DesiredState, jws: z.string() });
/** Named twice, so that no slip of a finger in a path takes a branch away. */
const Confirmation = z.strictObject({ confirm: GatewayId });
const OrderAnswer = z.strictObject({ message: z.string() });
const AuditAnswer = z.array(
  z.strictObject({
    number: z.int(),
    atMs: z.number(),
    actor: z.string(),
    action: z.string(),
    subject: z.string(),
    detail: z.string(),
  }),
);

export function registerGatewayRoutes(api: Api, { store, fleet, orders, presence }: ApiContext): void {
  const mustBeInFleet = async (id: string): Promise<void> => {
    gatewayOf((await fleet.read())?.fleet, id);
  };
  const absent = async (id: string, what: string): Promise<BranchboxError> => {
    await mustBeInFleet(id);
    return new BranchboxError('controller/not-found', {
      message: `gateway ${id} ${what}`,
      mend: 'GET /api/v1/status says what it waits for',
    });
  };

  api.get(
    '/status',
    {
      schema: {
        operationId: 'getFleetStatus',
        summary: 'The fleet at a glance',
        response: { 200: FleetOverview, ...ERROR_RESPONSES },
      },
    },
    async () => {
      const stored = await fleet.read();
      const epoch = await store.gateways.epoch();
      if (stored === undefined) return { revision: 0, epoch, gateways: [] };
      const gateways = overviewOf({
        fleet: stored.fleet,
        desired: await store.gateways.allDesired(),
        status: await store.gateways.allStatus(),
        inventory: await store.inventory.list(),
        silentSince: presence.silentSince,
      });
      return { revision: stored.revision, epoch, gateways };
    },
  );
  api.get(
    '/gateways/:id/status',
    {
      schema: {
        operationId: 'getGatewayStatus',
        summary: 'What a gateway last said of itself',
        params: Params,
        response: { 200: StatusAnswer, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      const record = await store.gateways.status(request.params.id);
      if (record === undefined) throw await absent(request.params.id, 'has not reported yet');
      return { receivedAtMs: record.receivedAtMs, status: record.status };
    },
  );
  api.get(
    '/gateways/:id/desired',
    {
      schema: {
        operationId: 'getGatewayDesired',
        summary: 'The desired state published to a gateway, as signed',
        params: Params,
        response: { 200: DesiredAnswer, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      const record = await store.gateways.desired(request.params.id);
      if (record === undefined || record.jws === '') {
        throw await absent(request.params.id, 'was not sent a desired state yet');
      }
      const payload = Buffer.from(record.jws.split('.')[1] ?? '', 'base64url').toString('utf8');
      const state = decodeJson(DesiredState, payload, 'a published desired state', DESIRED_MAX_BYTES);
      return { digest: record.digest, state, jws: record.jws };
    },
  );
  api.get(
    '/gateways/:id/events',
    {
      schema: {
        operationId: 'listGatewayEvents',
        summary: 'Events of one gateway, oldest first: the last, or those after or before a number',
        params: Params,
        querystring: Paging,
        response: { 200: Events, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      const { id } = request.params;
      const events = [...(await store.gateways.events(id, request.query))];
      // A gateway that left the fleet leaves its events behind.
      if (events.length === 0) await mustBeInFleet(id);
      return events;
    },
  );
  api.post(
    '/gateways/:id/factory-reset',
    {
      schema: {
        operationId: 'resetGateway',
        summary: 'Resets a gateway to factory state: its data goes, and it bootstraps anew',
        params: Params,
        body: Confirmation,
        response: { 200: OrderAnswer, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      const { id } = request.params;
      if (request.body.confirm !== id) {
        throw new BranchboxError('model/invalid', {
          message: 'the confirmation does not name the gateway',
          problems: [{ path: '$.confirm', message: `must be ${id}` }],
        });
      }
      return { message: await orders.factoryReset(id, ADMIN) };
    },
  );
  api.get(
    '/events',
    {
      schema: {
        operationId: 'listEvents',
        summary: 'Events of all gateways, oldest first: the last, or those after or before a number',
        querystring: Paging,
        response: { 200: Events, ...ERROR_RESPONSES },
      },
    },
    async (request) => [...(await store.gateways.events(undefined, request.query))],
  );
  api.get(
    '/audit',
    {
      schema: {
        operationId: 'listAudit',
        summary: 'Who changed what, oldest first: the last, or those after or before a number',
        querystring: Paging,
        response: { 200: AuditAnswer, ...ERROR_RESPONSES },
      },
    },
    async (request) => [...(await store.records.auditPage(request.query))],
  );
}
