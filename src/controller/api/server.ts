/**
 * Owns the REST API's frame: HTTPS, the admin credential, decoding, errors.
 * Does not own any route (the files beside it) nor the description of all (describe.ts).
 */
import swagger from '@fastify/swagger';
import fastify, { type FastifyPluginAsync, type FastifyPluginOptions } from 'fastify';
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Server, ServerOptions } from 'node:https';
import { parse as parseToml } from 'smol-toml';
import { z } from 'zod';
import { tryDecode } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import { MANIFEST_MAX_BYTES } from '../../model/firmware.ts';
import type { Logger } from '../../system/ports.ts';
import type { AdminCredential } from '../adminCredential.ts';
import { createClientErrors } from '../clientError.ts';
import { heedExpectations, isUnmet, UNMET } from '../expectation.ts';
import { registerBundleRoutes, STREAM_MEDIA_TYPES } from './bundleRoutes.ts';
import type { Api, ApiContext } from './context.ts';
import { DESCRIPTION } from './describe.ts';
import { registerDomainCaRoutes } from './domainCaRoutes.ts';
import { createErrorHandler, parserRefusal } from './errors.ts';
import { registerFirmwareRoutes } from './firmwareRoutes.ts';
import { registerFleetPartRoutes } from './fleetPartRoutes.ts';
import { answerUnchanged } from './fleetRevision.ts';
import { registerFleetRoutes } from './fleetRoutes.ts';
import { lingerOverUnread } from './lingering.ts';
import { refuseForeignBodies } from './mediaTypes.ts';
import { answerOtherMethod, answerWholeServer, watchResources } from './methods.ts';
import { registerGatewayRoutes } from './gatewayRoutes.ts';
import { registerActivationRoutes } from './activationRoutes.ts';
import { registerInventoryRoutes } from './inventoryRoutes.ts';
import { registerMediumRoutes } from './mediumRoutes.ts';
import { registerMoveRoutes } from './moveRoutes.ts';
import { registerPendingRoutes } from './pendingRoutes.ts';
import { registerServiceCertificateRoutes } from './serviceCertificateRoutes.ts';
import { registerUplinkTestRoutes } from './uplinkTestRoutes.ts';
import { registerDisowningRoutes } from './disowningRoutes.ts';
import { registerReplacementRoutes } from './replacementRoutes.ts';

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
  /** The same of what has to be asked. */
  readonly peersAway: () => Promise<readonly string[]>;
}): Promise<Api> {
  const handleError = createErrorHandler(options.log);
  const clientErrors = createClientErrors(parserRefusal);
  const server = fastify<Server>({
    https: options.tls,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Without it a keep-alive connection holds up the end of the process.
    forceCloseConnections: true,
    logger: false,
    clientErrorHandler: clientErrors.answer,
    // What no route could be found for: a URL that cannot be decoded, a name longer than any.
    frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
  });
  clientErrors.watch(server.server);
  heedExpectations(server.server);
  // accept(2) failed, for want of descriptors or memory: the next one need not.
  server.server.on('error', (error) => options.log.error('the REST API took no connection', { error }));
  const api: Api = server.withTypeProvider<ZodTypeProvider>();
  const resourceOf = watchResources(api);
  api.setValidatorCompiler<z.ZodType>(({ schema, httpPart }) => (input: unknown) => {
    // No body at all comes as null.
    const decoded = tryDecode(schema, httpPart === 'body' ? (input ?? undefined) : input);
    if (decoded.ok) return { value: decoded.value };
    const { problems } = decoded;
    return {
      error: new BranchboxError('model/invalid', {
        message: `the ${httpPart ?? 'request'} has ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
        mend: `correct what the paths name; ${API_PREFIX}/openapi.json says what fits`,
        problems,
      }),
    };
  });
  api.setSerializerCompiler(serializerCompiler);
  api.setErrorHandler(handleError);
  const refuseUnknownPath = async (): Promise<never> => {
    throw new BranchboxError('controller/not-found', {
      message: 'no such resource',
      mend: `${API_PREFIX}/openapi.json lists what there is`,
    });
  };
  api.setNotFoundHandler(refuseUnknownPath);
  api.addContentTypeParser(
    'application/toml',
    { parseAs: 'string' },
    async (_request: unknown, body: unknown) => tomlToJson(String(body)),
  );
  // A compact JWS (RFC 7515, 9.2.1).
  api.addContentTypeParser(
    'application/jose',
    { parseAs: 'string', bodyLimit: MANIFEST_MAX_BYTES },
    async (_request: unknown, body: unknown) => String(body),
  );
  api.addHook('onRequest', async (request, reply) => {
    if (OPEN_PATHS.has(resourceOf(request.raw.url ?? '')?.url ?? '')) return;
    const { authorization } = request.headers;
    if (options.admin.accepts(authorization)) return;
    // RFC 6750 3.
    reply.header('WWW-Authenticate', authorization === undefined ? 'Bearer' : 'Bearer error="invalid_token"');
    throw new BranchboxError('controller/refused', {
      message: 'this needs the admin credential as a bearer token',
      mend: 'send `Authorization: Bearer` with the content of admin.credential in the state directory of the controller (--credential)',
      fields: { httpStatus: 401 },
    });
  });

  api.addHook('onRequest', async ({ headers }) => {
    if (!isUnmet(headers)) return;
    throw new BranchboxError('model/invalid', {
      message: UNMET.why,
      mend: 'send the request without that Expect',
      fields: { httpStatus: UNMET.status },
    });
  });
  // Before its body is read: of what media type that is matters no more.
  api.addHook('onRequest', async ({ is404, method, raw }, reply) => {
    const resource = resourceOf(raw.url ?? '');
    // Asked of the path itself: a route with a parameter in the place of its last word may have the method.
    if (resource !== undefined && !resource.methods.has(method))
      return answerOtherMethod(resource, method, reply);
    if (!is404) return undefined;
    return method === 'OPTIONS' && raw.url === '*' ? answerWholeServer(reply) : refuseUnknownPath();
  });
  refuseForeignBodies(api);
  api.addHook('onSend', answerUnchanged);
  lingerOverUnread(api);

  await api.register(swagger, DESCRIPTION);
  const routes: FastifyPluginAsync<FastifyPluginOptions, Server, ZodTypeProvider> = async (scope) => {
    registerFleetRoutes(scope, options.context);
    registerFleetPartRoutes(scope, options.context);
    registerGatewayRoutes(scope, options.context);
    registerUplinkTestRoutes(scope, options.context);
    registerInventoryRoutes(scope, options.context);
    registerPendingRoutes(scope, options.context);
    registerReplacementRoutes(scope, options.context);
    registerActivationRoutes(scope, options.context);
    registerMediumRoutes(scope, options.context);
    registerMoveRoutes(scope, options.context);
    registerDisowningRoutes(scope, options.context);
    registerDomainCaRoutes(scope, options.context);
    registerServiceCertificateRoutes(scope, options.context);
    // The stream itself: an upload never stands in memory.
    scope.addContentTypeParser(STREAM_MEDIA_TYPES, async (_request: unknown, payload: unknown) => payload);
    registerBundleRoutes(scope, options.context);
    registerFirmwareRoutes(scope, options.context);
    scope.get(
      '/openapi.json',
      {
        schema: {
          operationId: 'getDescription',
          summary: 'This description',
          security: [],
          response: { 200: z.looseObject({}) },
        },
      },
      async () => ({ ...api.swagger() }),
    );
  };
  await api.register(routes, { prefix: API_PREFIX });
  api.get(
    '/healthz',
    {
      schema: {
        operationId: 'getHealth',
        summary: 'Whether the controller can work: it, its broker, signer and manufacturer',
        security: [],
        response: { 200: Health, 503: Health },
      },
    },
    async (_request, reply) => {
      const ailments = [...options.ailments(), ...(await options.peersAway())];
      return reply.code(ailments.length === 0 ? 200 : 503).send({ ok: ailments.length === 0, ailments });
    },
  );
  api.get(
    REVOCATIONS_PATH,
    {
      schema: {
        operationId: 'getRevocationList',
        summary: 'The revocation list of the domain CA (RFC 5280, DER)',
        security: [],
        response: {
          200: { description: 'The list', content: { 'application/pkix-crl': { schema: z.unknown() } } },
        },
      },
    },
    // RFC 2585 4.2.
    async (_request, reply) =>
      reply.type('application/pkix-crl').send(Buffer.from(options.context.revocationList())),
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
