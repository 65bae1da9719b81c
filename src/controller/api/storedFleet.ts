/**
 * Owns the answer for a stored fleet that breaks a rule of this version: the fleet as it is, with its problems, so that it can be
 * corrected and sent back. Does not own the answer for a valid one (fleetRoutes.ts).
 */
import type { FastifyReply } from 'fastify';
import { stringify as stringifyToml } from 'smol-toml';
import { z } from 'zod';
import { BranchboxError } from '../../model/errors.ts';
import type { Store } from '../store/store.ts';
import { ApiError, errorBody } from './errors.ts';
import { setRevision } from './fleetRevision.ts';

const StoredFleet = ApiError.extend({ stored: z.looseObject({}) });

/** Not 200: a fleet that comes with 200 fits its schema. */
export const STORED_FLEET_RESPONSE = {
  409: {
    description: 'What is stored, and the rules of this version that it breaks',
    content: {
      'application/json': { schema: StoredFleet },
      'application/toml': { schema: z.string() },
    },
  },
} as const;

/** `thrown`: why the fleet could not be read. Another reason than such a rule is thrown again. */
export async function sendStored(
  thrown: unknown,
  store: Pick<Store, 'fleet'>,
  reply: FastifyReply,
  form: 'json' | 'toml',
): Promise<FastifyReply> {
  if (!(thrown instanceof BranchboxError) || thrown.code !== 'controller/conflict') throw thrown;
  const stored = await store.fleet.document();
  if (stored === undefined) throw thrown;
  reply.code(409);
  if (form === 'toml') {
    setRevision(reply, stored.revision, 'toml');
    return reply
      .type('application/toml')
      .serializer(String)
      .send(withProblems(thrown, stringifyToml(stored.document)));
  }
  setRevision(reply, stored.revision);
  return reply.type('application/json').send({ ...errorBody(thrown), stored: stored.document });
}

/** As comments, which whoever reads the file back passes over. */
function withProblems({ message, mend, problems }: BranchboxError, toml: string): string {
  const lines = [message, ...problems.map(({ path, message: why }) => `${path} ${why}`), mend ?? ''];
  // A comment ends with its line, and TOML has no other control character in it than the tab.
  return `${lines.map((line) => `# ${line.replace(/\p{Cc}+/gu, ' ')}`).join('\n')}\n\n${toml}`;
}
