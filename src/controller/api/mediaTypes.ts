/**
 * Owns which request bodies are read: those without a content coding, of a media type that the route takes; and the
 * headers of a 415, wherever it comes from (RFC 9110 15.5.16, RFC 5789 3.1).
 * Does not own which route takes which (each route's schema, read by negotiation.ts).
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BranchboxError } from '../../model/errors.ts';
import { hasBody } from '../requestBody.ts';
import type { Api } from './context.ts';
import { consumedBy, mediaTypeOf } from './negotiation.ts';

/** A route without a body of its own: what is sent is parsed all the same, and ignored. */
const ANY_ROUTE = ['application/json'];

export function refuseForeignBodies(api: Api): void {
  // Before a body is read, and whatever any route reads: each says what it takes.
  api.addHook('onRequest', async (request) => {
    const { headers, method, routeOptions, is404 } = request;
    // What is refused anyway has its own reason, and GET and HEAD have no body.
    if (is404 || routeOptions.schema?.hide === true || method === 'GET' || method === 'HEAD') return;
    const takes = takenBy(request);
    const given = headers['content-type'];
    const coding = headers['content-encoding'];
    if (coding !== undefined && coding.trim().toLowerCase() !== 'identity') {
      throw refused(
        'a body in a content coding is not taken here',
        'send it as it is, without Content-Encoding',
      );
    }
    const mend = `send ${takes.join(' or ')}, and say so in Content-Type`;
    if (given === undefined && hasBody(headers))
      throw refused('a body of no media type is not taken here', mend);
    if (given === undefined || takes.includes(mediaTypeOf(given))) return;
    throw refused(`a body of ${mediaTypeOf(given)} is not taken here`, mend);
  });
  // The framework has a 415 of its own, for a Content-Type that cannot be read.
  api.addHook('onSend', async (request, reply, payload) => {
    if (reply.statusCode === 415) sayWhatIsTaken(request, reply);
    return payload;
  });
}

function sayWhatIsTaken(request: FastifyRequest, reply: FastifyReply): void {
  const takes = takenBy(request).join(', ');
  reply.header('Accept', takes).header('Accept-Encoding', 'identity');
  if (request.method === 'PATCH') reply.header('Accept-Patch', takes);
}

const takenBy = ({ routeOptions }: FastifyRequest): readonly string[] =>
  consumedBy(routeOptions.schema) ?? ANY_ROUTE;

const refused = (message: string, mend: string): BranchboxError =>
  new BranchboxError('model/invalid', { message, mend, fields: { httpStatus: 415 } });
