/**
 * Owns the answer to a method that a path does not have: 405, with those that it has (RFC 9110 15.5.6), and to OPTIONS,
 * which says the same without a refusal (9.3.7). Does not own any route, nor what is no method at all (clientError.ts).
 */
import type { FastifyReply } from 'fastify';
import { METHODS } from 'node:http';
import { BranchboxError } from '../../model/errors.ts';
import type { Api } from './context.ts';
import { consumedBy } from './negotiation.ts';

/** Whatever the parser of HTTP lets through; CONNECT asks for a tunnel and no path (clientError.ts). */
const KNOWN = METHODS.filter((method) => method !== 'CONNECT');
/** In the order in which they are told; what no route here has comes behind. */
const ORDER = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

interface Known {
  readonly methods: Set<string>;
  /** Media types of a PATCH (RFC 5789 3.1). */
  patches: readonly string[] | undefined;
}

/** `OPTIONS *` (RFC 9110 9.3.7). */
export const answerWholeServer = (reply: FastifyReply): FastifyReply =>
  reply.code(204).header('Allow', ORDER.join(', ')).send();

/** To be called before any route is registered; what it returns, after the last. */
export function watchMethods(api: Api): () => void {
  for (const method of KNOWN) if (!api.supportedMethods.includes(method)) api.addHttpMethod(method);
  const known = new Map<string, Known>();
  api.addHook('onRoute', ({ url, method, schema }) => {
    const path = known.get(url) ?? { methods: new Set(['OPTIONS']), patches: undefined };
    for (const one of [method].flat()) path.methods.add(one);
    if (method === 'PATCH') path.patches = consumedBy(schema);
    known.set(url, path);
  });
  return () => {
    for (const [url, { methods, patches }] of known) {
      const allowed = ORDER.filter((method) => methods.has(method)).join(', ');
      api.route({
        url,
        method: 'OPTIONS',
        schema: { hide: true },
        handler: async (_request, reply) => {
          if (patches !== undefined) reply.header('Accept-Patch', patches.join(', '));
          return reply.code(204).header('Allow', allowed).send();
        },
      });
      api.route({
        url,
        method: KNOWN.filter((method) => !methods.has(method)),
        exposeHeadRoute: false,
        schema: { hide: true },
        // After the credential was looked at, before any body is.
        onRequest: async ({ method }, reply) => {
          reply.header('Allow', allowed);
          throw new BranchboxError('controller/not-found', {
            message: `this resource has no ${method}`,
            mend: `it has ${allowed}`,
            fields: { httpStatus: 405 },
          });
        },
        handler: async () => undefined,
      });
    }
  };
}
