/**
 * Owns the routes of app bundles: uploading one as a stream, and the list.
 */
import { Readable } from 'node:stream';
import { z } from 'zod';
import { Sha256 } from '../../model/app.ts';
import { BranchboxError } from '../../model/errors.ts';
import { announcedBytes } from '../requestBody.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const Bundle = z.strictObject({ sha256: Sha256, sizeBytes: z.number() });
const Query = z.object({ sha256: Sha256.optional() });
export const STREAM_MEDIA_TYPES = ['application/x-tar', 'application/octet-stream'];

export function registerBundleRoutes(api: Api, { store, bundles, clock }: ApiContext): void {
  api.get(
    '/bundles',
    {
      schema: {
        operationId: 'listBundles',
        summary: 'All bundles',
        response: { 200: z.array(Bundle), ...ERROR_RESPONSES },
      },
    },
    async () => [...(await store.records.bundles())].map(([sha256, sizeBytes]) => ({ sha256, sizeBytes })),
  );
  api.post(
    '/bundles',
    {
      schema: {
        operationId: 'uploadBundle',
        summary: 'Takes in an app image in `docker save` format; `sha256` is verified where given',
        consumes: STREAM_MEDIA_TYPES,
        querystring: Query,
        response: { 201: Bundle, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      if (!(request.body instanceof Readable)) {
        throw new BranchboxError('model/invalid', {
          message: `the body is not of ${STREAM_MEDIA_TYPES.join(' or ')}`,
          mend: 'send what `docker save` writes, with `Content-Type: application/x-tar`',
        });
      }
      const bundle = await bundles.take(request.body, {
        sha256: request.query.sha256,
        announcedBytes: announcedBytes(request.headers),
      });
      const atMs = clock.nowMs();
      await store.records.addBundle(bundle.sha256, bundle.sizeBytes, atMs);
      await store.records.audit({
        atMs,
        actor: ADMIN,
        action: 'bundle-added',
        subject: bundle.sha256,
        detail: `${bundle.sizeBytes} bytes`,
      });
      return reply.code(201).send(bundle);
    },
  );
}
