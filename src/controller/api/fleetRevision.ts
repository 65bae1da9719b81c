/**
 * Owns the fleet's revision over HTTP: ETag, If-Match, If-None-Match, and what is said while no fleet is described.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { BranchboxError } from '../../model/errors.ts';
import type { FleetChange } from '../fleetService.ts';
import type { FleetRevision } from '../store/entities.ts';
import type { ApiContext } from './context.ts';
import { parseEntityTags } from './negotiation.ts';

export const IfMatch = z.object({ 'if-match': z.string().max(1024).optional() });

export async function present(context: ApiContext): Promise<FleetRevision> {
  const stored = await context.fleet.read();
  if (stored === undefined) throw noFleet();
  return stored;
}

export function revisionWanted(request: FastifyRequest): Pick<FleetChange, 'ifRevision'> {
  const header = request.headers['if-match'];
  if (header === undefined) return {};
  const tags = parseEntityTags(header);
  if (tags === '*') return { ifRevision: 'any' };
  if (tags === undefined) {
    throw new BranchboxError('model/invalid', {
      message: 'If-Match holds no list of ETags, such as "12"',
      mend: 'send the ETag that the fleet was read with, quotes and all',
    });
  }
  // Compared strongly (RFC 9110 13.1.1). A tag that no fleet ever had is that of another fleet than the present one.
  return {
    ifRevision: tags.flatMap(({ weak, opaque }) => {
      const revision = weak ? undefined : /^(\d{1,15})(-toml)?$/.exec(opaque)?.[1];
      return revision === undefined ? [] : [Number(revision)];
    }),
  };
}

/** `form`: of a second representation of the same, which must not have the first one's tag. */
export function setRevision(reply: FastifyReply, revision: number, form?: 'toml'): void {
  reply.header('ETag', form === undefined ? `"${revision}"` : `"${revision}-${form}"`);
}

/** A client that holds what it asks for is told that alone (RFC 9110 13.1.2). */
export async function answerUnchanged(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<unknown> {
  const etag = reply.getHeader('etag');
  const header = request.headers['if-none-match'];
  if (typeof etag !== 'string' || header === undefined || reply.statusCode !== 200) return payload;
  if (request.method !== 'GET' && request.method !== 'HEAD') return payload;
  const tags = parseEntityTags(header);
  if (tags !== '*' && tags?.some(({ opaque }) => `"${opaque}"` === etag) !== true) return payload;
  reply.code(304).removeHeader('content-type').removeHeader('content-length');
  return null;
}

export function noFleet(): BranchboxError {
  return new BranchboxError('controller/not-found', {
    message: 'no fleet is described yet',
    mend: 'describe one with `branchbox fleet apply FILE`',
  });
}
