/**
 * Owns the routes that read and change the fleet: the whole document, and its tenants, segments and gateways one by one.
 */
import type { FastifyReply, FastifyRequest, FastifyTypeProviderDefault } from 'fastify';
import { stringify as stringifyToml } from 'smol-toml';
import { z } from 'zod';
import { BranchboxError } from '../../model/errors.ts';
import { Fleet, FleetGateway, FleetSegment, Tenant } from '../../model/fleet.ts';
import { GatewayId, SegmentId, TenantName } from '../../model/ids.ts';
import type { FleetRevision } from '../store/store.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const IfMatch = z.object({ 'if-match': z.string().max(64).optional() });

export function registerFleetRoutes(api: Api, context: ApiContext): void {
  api.get(
    '/fleet',
    {
      schema: {
        summary: 'The fleet; as TOML with `Accept: application/toml`',
        response: {
          200: {
            description: 'The fleet',
            content: {
              'application/json': { schema: Fleet },
              'application/toml': { schema: z.string() },
            },
          },
          ...ERROR_RESPONSES,
        },
      },
    },
    async (request, reply) => {
      const { fleet, revision } = await present(context);
      setRevision(reply, revision);
      if (request.headers.accept === 'application/toml') {
        return reply.type('application/toml').serializer(String).send(asToml(fleet));
      }
      return reply.type('application/json').send(fleet);
    },
  );
  api.put(
    '/fleet',
    {
      schema: {
        summary: 'Replaces the fleet; JSON or TOML',
        consumes: ['application/json', 'application/toml'],
        headers: IfMatch,
        body: Fleet,
        response: { 200: Fleet, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const next = await context.fleet.change({
        actor: ADMIN,
        subject: 'fleet',
        ...revisionWanted(request),
        edit: () => request.body,
      });
      setRevision(reply, next.revision);
      return next.fleet;
    },
  );
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
  const Params = z.object({ id: collection.id });
  const listOf = (fleet: Fleet): z.output<S>[] => z.array(item).parse(fleet[name]);
  const find = (fleet: Fleet, id: string): z.output<S> => {
    const found = listOf(fleet).find((candidate) => collection.idOf(candidate) === id);
    if (found === undefined) throw notFound(`no ${one} is named ${id}`);
    return found;
  };
  const changed = async (request: FastifyRequest, id: string, edit: (list: z.output<S>[]) => z.output<S>[]) =>
    context.fleet.change({
      actor: ADMIN,
      subject: `${name}/${id}`,
      ...revisionWanted(request),
      edit: (fleet) => {
        if (fleet === undefined) throw noFleet();
        return { ...fleet, [name]: edit(listOf(fleet)) };
      },
    });

  api.get(
    `/${name}`,
    { schema: { summary: `All ${name}`, response: { 200: z.array(item), ...ERROR_RESPONSES } } },
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
          throw new BranchboxError('controller/conflict', { message: `${one} ${id} is there already` });
        }
        return [...list, body];
      });
      setRevision(reply, next.revision);
      return reply.code(201).send(find(next.fleet, id));
    },
  );
  api.get(
    `/${name}/:id`,
    { schema: { summary: `One ${one}`, params: Params, response: { 200: item, ...ERROR_RESPONSES } } },
    async (request, reply) => {
      const { fleet, revision } = await present(context);
      setRevision(reply, revision);
      return reply.send(find(fleet, Params.parse(request.params).id));
    },
  );
  api.put(
    `/${name}/:id`,
    {
      schema: {
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
        throw new BranchboxError('model/invalid', { message: `the body names another ${one} than the path` });
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
        if (rest.length === list.length) throw notFound(`no ${one} is named ${id}`);
        return rest;
      });
      setRevision(reply, next.revision);
      return reply.code(204).send();
    },
  );
}

async function present(context: ApiContext): Promise<FleetRevision> {
  const stored = await context.fleet.read();
  if (stored === undefined) throw noFleet();
  return stored;
}

function revisionWanted(request: FastifyRequest): { ifRevision?: number } {
  const header = request.headers['if-match'];
  if (header === undefined || header === '*') return {};
  const revision = /^"(\d{1,15})"$/.exec(header)?.[1];
  if (revision === undefined) {
    throw new BranchboxError('model/invalid', {
      message: 'If-Match holds no ETag of the fleet, such as "12"',
    });
  }
  return { ifRevision: Number(revision) };
}

function setRevision(reply: FastifyReply, revision: number): void {
  reply.header('ETag', `"${revision}"`);
}

/** TOML has no null and no undefined: a round through JSON drops what is absent. */
function asToml(fleet: Fleet): string {
  return stringifyToml(JSON.parse(JSON.stringify(fleet)));
}

function noFleet(): BranchboxError {
  return new BranchboxError('controller/not-found', {
    message: 'no fleet is described yet',
    mend: 'describe one with `branchbox fleet apply FILE`',
  });
}

function notFound(message: string): BranchboxError {
  return new BranchboxError('controller/not-found', { message });
}
