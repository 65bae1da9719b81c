/**
 * Owns the API's routes of uplink tests: the reports that gateways sent, and ordering a test.
 * Does not own the order's way to the box (orders.ts).
 */
import { z } from 'zod';
import { GatewayId } from '../../model/ids.ts';
import { UplinkReport, UplinkTestRequest } from '../../model/uplinkReport.ts';
import { gatewayOf } from '../fleetService.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const Params = z.object({ id: GatewayId });
const Limit = z.object({ limit: z.coerce.number().int().min(1).max(20).default(1) });
const Reports = z.array(z.strictObject({ receivedAtMs: z.number(), report: UplinkReport }));
const OrderAnswer = z.strictObject({ message: z.string() });

export function registerUplinkTestRoutes(api: Api, { store, fleet, orders }: ApiContext): void {
  const mustBeInFleet = async (id: string): Promise<void> => {
    gatewayOf((await fleet.read())?.fleet, id);
  };
  api.get(
    '/gateways/:id/uplink-reports',
    {
      schema: {
        operationId: 'listUplinkReports',
        summary: 'The last uplink tests of a gateway, newest first',
        params: Params,
        querystring: Limit,
        response: { 200: Reports, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      const reports = await store.uplinkReports.list(request.params.id, request.query.limit);
      if (reports.length === 0) await mustBeInFleet(request.params.id);
      return [...reports];
    },
  );
  api.post(
    '/gateways/:id/uplink-tests',
    {
      schema: {
        operationId: 'testUplinks',
        summary: 'Has a gateway test its uplinks; the report follows',
        params: Params,
        body: UplinkTestRequest,
        response: { 200: OrderAnswer, ...ERROR_RESPONSES },
      },
    },
    async (request) => {
      await mustBeInFleet(request.params.id);
      return { message: await orders.testUplinks(request.params.id, request.body, ADMIN) };
    },
  );
}
