/**
 * Owns the routes of the domain CAs: which count, who is under which, and dropping the one before at the end of a rollover.
 */
import { z } from 'zod';
import { BranchboxError } from '../../model/errors.ts';
import { CaBox, CaOverview, tagOf } from '../caDrop.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';
import { IfMatch } from './fleetRevision.ts';
import { parseEntityTags } from './negotiation.ts';

const Flag = z.enum(['true', 'false']).default('false');
const Answer = z.strictObject({
  /** false: of a dry run. */
  done: z.boolean(),
  /** Boxes that have to come back by their factory identity. */
  behind: z.array(CaBox),
  domainCas: CaOverview,
});

export function registerDomainCaRoutes(api: Api, { caDrop }: ApiContext): void {
  api.get(
    '/domain-cas',
    {
      schema: {
        operationId: 'getDomainCas',
        summary: 'The domain CAs that count, and how many boxes still have a certificate of the one before',
        response: { 200: CaOverview, ...ERROR_RESPONSES },
      },
    },
    async (_request, reply) => {
      const overview = await caDrop.overview();
      return reply.header('ETag', tagOf(overview)).send(overview);
    },
  );
  api.delete(
    '/domain-cas/:sha256',
    {
      schema: {
        operationId: 'dropDomainCa',
        summary: 'Drops the domain CA before the one that signs: the end of a rollover, for good',
        params: z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
        querystring: z.strictObject({ dryRun: Flag, insist: Flag }),
        headers: IfMatch,
        response: { 200: Answer, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { dryRun, insist } = request.query;
      const { done, behind, overview } = await caDrop.drop({
        sha256: request.params.sha256,
        dryRun: dryRun === 'true',
        insist: insist === 'true',
        ...matching(request.headers['if-match']),
        actor: ADMIN,
      });
      const answer = { done, behind: [...behind], domainCas: overview };
      return reply.header('ETag', tagOf(overview)).send(answer);
    },
  );
}

function matching(header: string | undefined): { readonly ifMatch?: (tag: string) => boolean } {
  if (header === undefined) return {};
  const tags = parseEntityTags(header);
  if (tags === '*') return {};
  if (tags === undefined) {
    throw new BranchboxError('model/invalid', {
      message: 'If-Match holds no list of ETags',
      mend: 'send the ETag that the domain CAs were read with, quotes and all',
    });
  }
  return { ifMatch: (tag) => tags.some(({ weak, opaque }) => !weak && `"${opaque}"` === tag) };
}
