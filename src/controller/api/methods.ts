/**
 * Owns the answer to a method that a path does not have: 405, with those that it has (RFC 9110 15.5.6), and to OPTIONS,
 * which says the same without a refusal (9.3.7). Does not own any route, nor what is no method at all (clientError.ts).
 */
import type { FastifyReply } from 'fastify';
import findMyWay from 'find-my-way';
import { BranchboxError } from '../../model/errors.ts';
import type { Api } from './context.ts';
import { consumedBy } from './negotiation.ts';

/** In which they are told. */
const ORDER = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export interface Resource {
  /** As its routes are registered. */
  readonly url: string;
  readonly methods: Set<string>;
  /** Media types of a PATCH (RFC 5789 3.1). */
  patches: readonly string[] | undefined;
}

/** `OPTIONS *` (RFC 9110 9.3.7). */
export const answerWholeServer = (reply: FastifyReply): FastifyReply =>
  reply.code(204).header('Allow', ORDER.join(', ')).send();

/**
 * To be called before any route is registered. Resolves a request's target to the resource that it names, whatever the method, by
 * fastify's own router; registering each path for every method of HTTP would take a thousand routes.
 */
export function watchResources(api: Api): (target: string) => Resource | undefined {
  const known = new Map<string, Resource>();
  const router = findMyWay();
  api.addHook('onRoute', ({ url, method, schema }) => {
    const resource = known.get(url) ?? { url, methods: new Set(), patches: undefined };
    for (const one of [method].flat()) resource.methods.add(one);
    if (method === 'PATCH') resource.patches = consumedBy(schema);
    if (known.has(url)) return;
    known.set(url, resource);
    router.on('GET', url, () => undefined, url);
  });
  return (target) => {
    const url: unknown = router.find('GET', target)?.store;
    return typeof url === 'string' ? known.get(url) : undefined;
  };
}

/** To OPTIONS its answer; to another method that the resource does not have, the refusal. */
export function answerOtherMethod(
  { methods, patches }: Resource,
  method: string,
  reply: FastifyReply,
): FastifyReply {
  const allowed = ORDER.filter((one) => one === 'OPTIONS' || methods.has(one)).join(', ');
  reply.header('Allow', allowed);
  if (method === 'OPTIONS') {
    if (patches !== undefined) reply.header('Accept-Patch', patches.join(', '));
    return reply.code(204).send();
  }
  throw new BranchboxError('controller/not-found', {
    message: `this resource has no ${method}`,
    mend: `it has ${allowed}`,
    fields: { httpStatus: 405 },
  });
}
