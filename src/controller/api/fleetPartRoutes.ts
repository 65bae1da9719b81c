/**
 * Owns the routes of the fleet's parts: tenants, segments and gateways one by one, each a change of the one document.
 */
import type { FastifyRequest, FastifyTypeProviderDefault } from 'fastify';
import { z } from 'zod';
import { BranchboxError } from '../../model/errors.ts';
import { type Fleet, FleetGateway, FleetSegment, Tenant } from '../../model/fleet.ts';
import { GatewayId, SegmentId, TenantName } from '../../model/ids.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';
import { IfMatch, noFleet, present, revisionWanted, setRevision } from './fleetRevision.ts';

export function registerFleetPartRoutes(api: Api, context: ApiContext): void {
  registerCollection(api, context, { name: 'tenants', item: Tenant, id: TenantName, idOf: (t) => t.name });
  registerCollection(api, context, {
    name: 'segments',
    item: FleetSegment,
    id: SegmentId,
    idOf: (s) => s.id,
  });
  registerCollection(api, context, {
    name: 'gateways',
    item: FleetGateway,
    id: GatewayId,
    idOf: (g) => g.id,
  });
}

type CollectionName = 'tenants' | 'segments' | 'gateways';

interface Collection<S extends z.ZodType> {
  readonly name: CollectionName;
  readonly item: S;
  readonly id: z.ZodString;
  readonly idOf: (item: z.output<S>) => string;
}

/** One set of routes for all three: each is a list in the document, named by a key of its items. */
function registerCollection<S extends z.ZodType>(
  typedApi: Api,
  context: ApiContext,
  collection: Collection<S>,
): void {
  // Types cannot follow a generic schema into a route; each handler decodes by the schema itself.
  const api = typedApi.withTypeProvider<FastifyTypeProviderDefault>();
  const { name, item } = collection;
  const one = name.slice(0, -1);
  const One = `${one.charAt(0).toUpperCase()}${one.slice(1)}`;
  const Params = z.object({ id: collection.id });
  const listOf = (fleet: Fleet): z.output<S>[] => z.array(item).parse(fleet[name]);
  const find = (fleet: Fleet, id: string): z.output<S> => {
    const found = listOf(fleet).find((candidate) => collection.idOf(candidate) === id);
    if (found === undefined) throw notFound(name, one, id);
    return found;
  };
  const changed = async (request: FastifyRequest, id: string, edit: (list: z.output<S>[]) => z.output<S>[]) =>
    context.fleet.change({
      actor: ADMIN,
      subject: `${name}/${id}`,
      ...revisionWanted(request),
      next: {
        edit: (fleet) => {
          if (fleet === undefined) throw noFleet();
          return { ...fleet, [name]: edit(listOf(fleet)) };
        },
      },
    });

  api.get(
    `/${name}`,
    {
      schema: {
        operationId: `list${One}s`,
        summary: `All ${name}`,
        response: { 200: z.array(item), ...ERROR_RESPONSES },
      },
    },
    async (_request, reply) => {
      const { fleet, revision } = await present(context);
      setRevision(reply, revision);
      return reply.send(listOf(fleet));
    },
  );
  api.post(
    `/${name}`,
    {
      schema: {
        operationId: `create${One}`,
        summary: `A new ${one}`,
        body: item,
        headers: IfMatch,
        response: { 201: item, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const body: z.output<S> = item.parse(request.body);
      const id = collection.idOf(body);
      const next = await changed(request, id, (list) => {
        if (list.some((other) => collection.idOf(other) === id)) {
          throw new BranchboxError('controller/conflict', {
            message: `${one} ${id} is there already`,
            mend: `change it with PUT /api/v1/${name}/${id}`,
          });
        }
        return [...list, body];
      });
      setRevision(reply, next.revision);
      return reply.code(201).send(find(next.fleet, id));
    },
  );
  api.get(
    `/${name}/:id`,
    {
      schema: {
        operationId: `get${One}`,
        summary: `One ${one}`,
        params: Params,
        response: { 200: item, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { fleet, revision } = await present(context);
      const found = find(fleet, Params.parse(request.params).id);
      setRevision(reply, revision);
      return reply.send(found);
    },
  );
  api.put(
    `/${name}/:id`,
    {
      schema: {
        operationId: `put${One}`,
        summary: `Makes or replaces one ${one}`,
        params: Params,
        headers: IfMatch,
        body: item,
        response: { 200: item, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { id } = Params.parse(request.params);
      const body: z.output<S> = item.parse(request.body);
      if (collection.idOf(body) !== id) {
        throw new BranchboxError('model/invalid', {
          message: `the body names another ${one} than the path`,
          mend: `name ${id} in the body too; a new name is a new ${one}`,
        });
      }
      const next = await changed(request, id, (list) =>
        list.some((other) => collection.idOf(other) === id)
          ? list.map((other) => (collection.idOf(other) === id ? body : other))
          : [...list, body],
      );
      setRevision(reply, next.revision);
      return reply.send(find(next.fleet, id));
    },
  );
  api.delete(
    `/${name}/:id`,
    {
      schema: {
        operationId: `delete${One}`,
        summary: `Removes one ${one}`,
        params: Params,
        headers: IfMatch,
        response: { 204: z.undefined(), ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { id } = Params.parse(request.params);
      const next = await changed(request, id, (list) => {
        const rest = list.filter((other) => collection.idOf(other) !== id);
        if (rest.length === list.length) throw notFound(name, one, id);
        return rest;
      });
      setRevision(reply, next.revision);
      return reply.code(204).send();
    },
  );
}

function notFound(list: CollectionName, one: string, id: string): BranchboxError {
  return new BranchboxError('controller/not-found', {
    message: `no ${one} is named ${id}`,
    mend: `GET /api/v1/${list} lists them`,
  });
}
