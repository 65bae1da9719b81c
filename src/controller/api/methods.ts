/**
 * Owns the answer to a method that a path does not have: 405, with those that it has (RFC 9110 15.5.6).
 * Does not own any route.
 */
import { BranchboxError } from '../../model/errors.ts';
import type { Api } from './context.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const;

/** To be called before any route is registered; what it returns, after the last. */
export function watchMethods(api: Api): () => void {
  const known = new Map<string, Set<string>>();
  api.addHook('onRoute', ({ url, method }) => {
    const methods = known.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    known.set(url, methods);
  });
  return () => {
    for (const [url, methods] of known) {
      const allowed = METHODS.filter((method) => methods.has(method));
      const others = METHODS.filter((method) => !methods.has(method));
      api.route({
        url,
        method: others,
        exposeHeadRoute: false,
        schema: { hide: true },
        // After the credential was looked at, before any body is.
        onRequest: async ({ method }, reply) => {
          reply.header('Allow', allowed.join(', '));
          throw new BranchboxError('controller/not-found', {
            message: `this resource has no ${method}`,
            mend: `it has ${allowed.join(', ')}`,
            fields: { httpStatus: 405 },
          });
        },
        handler: async () => undefined,
      });
    }
  };
}
