/**
 * Owns the fleet's revision over HTTP: ETag, If-Match, and what is said while no fleet is described.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { BranchboxError } from '../../model/errors.ts';
import type { FleetRevision } from '../store/store.ts';
import type { ApiContext } from './context.ts';

export const IfMatch = z.object({ 'if-match': z.string().max(64).optional() });

export async function present(context: ApiContext): Promise<FleetRevision> {
  const stored = await context.fleet.read();
  if (stored === undefined) throw noFleet();
  return stored;
}

export function revisionWanted(request: FastifyRequest): { ifRevision?: number } {
  const header = request.headers['if-match'];
  if (header === undefined || header === '*') return {};
  const revision = /^"(\d{1,15})"$/.exec(header)?.[1];
  if (revision === undefined) {
    throw new BranchboxError('model/invalid', {
      message: 'If-Match holds no ETag of the fleet, such as "12"',
      mend: 'send the ETag that the fleet was read with, quotes and all',
    });
  }
  return { ifRevision: Number(revision) };
}

export function setRevision(reply: FastifyReply, revision: number): void {
  reply.header('ETag', `"${revision}"`);
}

export function noFleet(): BranchboxError {
  return new BranchboxError('controller/not-found', {
    message: 'no fleet is described yet',
    mend: 'describe one with `branchbox fleet apply FILE`',
  });
}
