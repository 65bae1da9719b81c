/**
 * Owns the routes that read and change the fleet as a whole. Does not own its parts one by one (fleetPartRoutes.ts).
 */
import { stringify as stringifyToml } from 'smol-toml';
import { z } from 'zod';
import { Fleet } from '../../model/fleet.ts';
import { keepPlaced } from '../placing.ts';
import type { FleetRevision } from '../store/entities.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';
import { IfMatch, present, revisionWanted, setRevision } from './fleetRevision.ts';
import { preferred } from './negotiation.ts';
import { sendStored, STORED_FLEET_RESPONSE } from './storedFleet.ts';

const Removes = z.object({
  removes: z.coerce
    .number()
    .int()
    .min(0)
    .optional()
    .describe(
      'How many boxes lose their place by it: their gateway is not in it, or has another serial or none. Asked for where that is more than one, and held to wherever it is told',
    ),
});

export function registerFleetRoutes(api: Api, context: ApiContext): void {
  api.get(
    '/fleet',
    {
      schema: {
        operationId: 'getFleet',
        summary: 'The fleet; as TOML with `Accept: application/toml`',
        response: {
          200: {
            description: 'The fleet',
            content: {
              'application/json': { schema: Fleet },
              'application/toml': { schema: z.string() },
            },
          },
          ...STORED_FLEET_RESPONSE,
          ...ERROR_RESPONSES,
        },
      },
    },
    async (request, reply) => {
      const wanted = preferred(request.headers.accept, ['application/json', 'application/toml']);
      const form = wanted === 'application/toml' ? 'toml' : 'json';
      reply.header('Vary', 'Accept');
      let found: FleetRevision;
      try {
        found = await present(context);
      } catch (thrown) {
        return sendStored(thrown, context.store, reply, form);
      }
      const { fleet, revision } = found;
      if (form === 'toml') {
        setRevision(reply, revision, form);
        return reply.type('application/toml').serializer(String).send(asToml(fleet));
      }
      setRevision(reply, revision);
      return reply.type('application/json').send(fleet);
    },
  );
  api.put(
    '/fleet',
    {
      schema: {
        operationId: 'replaceFleet',
        summary: 'Replaces the fleet; JSON or TOML',
        consumes: ['application/json', 'application/toml'],
        headers: IfMatch,
        querystring: Removes,
        body: Fleet,
        response: { 200: Fleet, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const boxes = await context.store.inventory.list();
      const joined = new Set(boxes.flatMap(({ serial, joined: by }) => (by === undefined ? [] : [serial])));
      const next = await context.fleet.change({
        actor: ADMIN,
        subject: 'fleet',
        ...revisionWanted(request),
        next: {
          replace: (places) => keepPlaced(request.body, places, joined),
          removes: Removes.parse(request.query).removes,
        },
      });
      setRevision(reply, next.revision);
      return next.fleet;
    },
  );
}

/** TOML has no null and no undefined: a round through JSON drops what is absent. */
function asToml(fleet: Fleet): string {
  return stringifyToml(JSON.parse(JSON.stringify(fleet)));
}
