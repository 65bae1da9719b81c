/**
 * Owns what a client of the API says of bodies in its headers: the media type that it sends, those that it takes, and
 * entity tags. Pure.
 * Does not own which routes have which (each route's schema).
 */
import type { FastifySchema } from 'fastify';

/** Media types that a route's body may have; undefined where it takes none. */
export function consumedBy(schema: FastifySchema | undefined): readonly string[] | undefined {
  if (schema?.consumes !== undefined) return schema.consumes;
  return schema?.body === undefined ? undefined : ['application/json'];
}

/** Without its parameters, which never change how a body is read here. */
export function mediaTypeOf(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase();
}

/** Which of `offers` an Accept header (RFC 9110 12.5.1) asks for, the first where it does not mind; undefined: none. */
export function preferred<T extends string>(accept: string | undefined, offers: readonly T[]): T | undefined {
  const ranges = (accept ?? '').split(',').flatMap((part) => {
    const [type = '', ...parameters] = part.split(';').map((word) => word.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    return type === '' ? [] : [{ type, weight: weight === undefined ? 1 : Number(weight) || 0 }];
  });
  if (ranges.length === 0) return offers[0];
  const weightOf = (offer: string): number => {
    const [kind = ''] = offer.split('/');
    // The most exact range counts, whatever the others say.
    for (const type of [offer, `${kind}/*`, '*/*']) {
      const range = ranges.find((candidate) => candidate.type === type);
      if (range !== undefined) return range.weight;
    }
    return 0;
  };
  const best = offers
    .map((offer) => ({ offer, weight: weightOf(offer) }))
    .reduce((a, b) => (b.weight > a.weight ? b : a));
  return best.weight > 0 ? best.offer : undefined;
}

interface EntityTag {
  readonly weak: boolean;
  readonly opaque: string;
}

/** Of If-Match or If-None-Match (RFC 9110 8.8.3, 13.1); undefined where it is neither a list of them nor `*`. */
export function parseEntityTags(header: string): readonly EntityTag[] | '*' | undefined {
  if (header.trim() === '*') return '*';
  const tags: EntityTag[] = [];
  const next = /[ \t,]*(W\/)?"([\x21\x23-\x7e]*)"[ \t]*(?:,|$)/y;
  while (next.lastIndex < header.length) {
    const match = next.exec(header);
    if (match === null) return undefined;
    tags.push({ weak: match[1] !== undefined, opaque: match[2] ?? '' });
  }
  return tags.length === 0 ? undefined : tags;
}
