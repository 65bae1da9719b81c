/**
 * Owns the REST API's frame: HTTPS, the admin credential, decoding, errors, OpenAPI 3.1 from the same schemas.
 * Does not own any route (the files beside it).
 */
import swagger from '@fastify/swagger';
import fastify, { type FastifyPluginAsync, type FastifyPluginOptions } from 'fastify';
import { jsonSchemaTransform, serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Server, ServerOptions } from 'node:https';
import { parse as parseToml } from 'smol-toml';
import { z } from 'zod';
import { tryDecode } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import type { Logger } from '../../system/ports.ts';
import type { AdminCredential } from '../adminCredential.ts';
import { registerBundleRoutes } from './bundleRoutes.ts';
import type { Api, ApiContext } from './context.ts';
import { createErrorHandler } from './errors.ts';
import { registerFleetRoutes } from './fleetRoutes.ts';
import { registerGatewayRoutes } from './gatewayRoutes.ts';
import { registerInventoryRoutes } from './inventoryRoutes.ts';

/** A fleet of 1,000 gateways is about 1 MB of JSON. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** Of a whole request: 2 GiB at 20 Mbit/s. What is silent is cut sooner by Node's own time-outs. */
const REQUEST_TIMEOUT_MS = 15 * 60_000;
export const API_PREFIX = '/api/v1';
const REVOCATIONS_PATH = '/domain.crl';
/** Readable without a credential. */
const OPEN_PATHS = new Set(['/healthz', REVOCATIONS_PATH, `${API_PREFIX}/openapi.json`]);

export async function createApi(options: {
  readonly context: ApiContext;
  readonly admin: AdminCredential;
  readonly tls: ServerOptions;
  readonly log: Logger;
  /** A sentence when something the controller lives on is away. */
  readonly ailments: () => readonly string[];
}): Promise<Api> {
  const server = fastify<Server>({
    https: options.tls,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Without it a keep-alive connection holds up the end of the process.
    forceCloseConnections: true,
    logger: false,
  });
  const api: Api = server.withTypeProvider<ZodTypeProvider>();
  api.setValidatorCompiler<z.ZodType>(({ schema, httpPart }) => (input: unknown) => {
    const decoded = tryDecode(schema, input);
    if (decoded.ok) return { value: decoded.value };
    const { problems } = decoded;
    return {
      error: new BranchboxError('model/invalid', {
        message: `the ${httpPart ?? 'request'} has ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
        problems,
      }),
    };
  });
  api.setSerializerCompiler(serializerCompiler);
  api.setErrorHandler(createErrorHandler(options.log));
  api.setNotFoundHandler(async () => {
    throw new BranchboxError('controller/not-found', { message: 'no such resource' });
  });
  api.addContentTypeParser(
    'application/toml',
    { parseAs: 'string' },
    async (_request: unknown, body: unknown) => tomlToJson(String(body)),
  );
  api.addHook('onRequest', async (request) => {
    if (OPEN_PATHS.has(request.routeOptions.url ?? '')) return;
    if (options.admin.accepts(request.headers.authorization)) return;
    throw new BranchboxError('controller/refused', {
      message: 'this needs the admin credential as a bearer token',
      fields: { unauthorized: true },
    });
  });

  await api.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Branchbox controller',
        version: '1',
        description: 'The fleet, its inventory and status.',
      },
      components: { securitySchemes: { admin: { type: 'http', scheme: 'bearer' } } },
      security: [{ admin: [] }],
    },
    transform: jsonSchemaTransform,
  });
  const routes: FastifyPluginAsync<FastifyPluginOptions, Server, ZodTypeProvider> = async (scope) => {
    registerFleetRoutes(scope, options.context);
    registerGatewayRoutes(scope, options.context);
    registerInventoryRoutes(scope, options.context);
    registerBundleRoutes(scope, options.context);
    scope.get(
      '/openapi.json',
      { schema: { summary: 'This description', security: [], response: { 200: z.looseObject({}) } } },
      async () => ({ ...api.swagger() }),
    );
  };
  await api.register(routes, { prefix: API_PREFIX });
  api.get(
    '/healthz',
    {
      schema: {
        summary: 'Whether the controller can work',
        security: [],
        response: { 200: Health, 503: Health },
      },
    },
    async (_request, reply) => {
      const ailments = [...options.ailments()];
      return reply.code(ailments.length === 0 ? 200 : 503).send({ ok: ailments.length === 0, ailments });
    },
  );
  api.get(
    REVOCATIONS_PATH,
    { schema: { summary: 'The revocation list of the domain CA (RFC 5280, DER)', security: [] } },
    // RFC 2585 4.2.
    async (_request, reply) =>
      reply.type('application/pkix-crl').send(Buffer.from(options.context.revocations.list.der)),
  );
  return api;
}

const Health = z.strictObject({ ok: z.boolean(), ailments: z.array(z.string()) });

function tomlToJson(text: string): unknown {
  try {
    return parseToml(text);
  } catch (cause) {
    throw new BranchboxError('model/invalid', {
      message: `the body is not TOML: ${cause instanceof Error ? cause.message : 'unreadable'}`,
      cause,
    });
  }
}
