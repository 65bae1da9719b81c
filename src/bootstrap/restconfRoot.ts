/**
 * Owns where the operations of a bootstrap server stand: below /restconf, as nearly everywhere, and where nothing of
 * RESTCONF answers there, below what its host-meta names (RFC 8040 3.1, RFC 6415). Does not own the operations.
 *
 * The host-meta is not asked for first, although RFC 8040 has it so: it would be another handshake of each box with each server.
 * Whoever answers is not authenticated, so a root is a path on the same server only, nothing else of the document counts, and
 * none is remembered.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Answer, Exchange, Https } from './https.ts';
import { isYang } from './yangBodies.ts';

const COMMON_ROOT = '/restconf';
const HOST_META = '/.well-known/host-meta';
const XRD = 'application/xrd+xml';
const MAX_XRD_BYTES = 16 * 1024;
const MAX_ROOT = 256;

export type Operation = 'get-bootstrapping-data' | 'report-progress';

export interface Operations {
  /** As Https does, with the path filled in. */
  invoke(
    operation: Operation,
    exchange: Omit<Exchange, 'path'>,
    signal: AbortSignal,
  ): Promise<{ readonly answer: Answer; readonly path: string }>;
}

export function createOperations(https: Https): Operations {
  async function rootOf(exchange: Omit<Exchange, 'path'>, signal: AbortSignal): Promise<string | undefined> {
    const { server, uplink, identity, peer } = exchange;
    const asking = { server, uplink, identity, peer, method: 'GET', accept: XRD } as const;
    try {
      const answer = await https({ ...asking, path: HOST_META, maxBytes: MAX_XRD_BYTES }, signal);
      return answer.status === 200 ? parseHostMeta(Buffer.from(answer.body).toString('utf8')) : undefined;
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      return undefined;
    }
  }

  return {
    async invoke(operation, exchange, signal) {
      const at = async (root: string) => {
        const path = `${root}/operations/ietf-sztp-bootstrap-server:${operation}`;
        return { answer: await https({ ...exchange, path }, signal), path };
      };
      const first = await at(COMMON_ROOT);
      // RESTCONF's own 404 is an answer: this box is not known.
      if (first.answer.status !== 404 || isYang(first.answer)) return first;
      const root = await rootOf(exchange, signal);
      return root === undefined || root === COMMON_ROOT ? first : at(root);
    },
  };
}

/** The path of the one link to RESTCONF, without a slash at its end; undefined where there is none that can be used. Pure. */
export function parseHostMeta(xrd: string): string | undefined {
  const hrefs = [
    ...xrd.replaceAll(/<!--[^]*?-->/g, '').matchAll(/<(?:[\w.-]{1,64}:)?Link\s([^<>]*)>/g),
  ].flatMap(([, attributes = '']) =>
    attributeOf(attributes, 'rel') === 'restconf' ? [attributeOf(attributes, 'href')] : [],
  );
  const [href] = hrefs;
  // RFC 8040 3.1: exactly one.
  if (href === undefined || hrefs.length !== 1 || href.length > MAX_ROOT) return undefined;
  if (!/^\/(?!\/)[A-Za-z0-9._~!$'()*+,;=:@%/-]*$/.test(href)) return undefined;
  return href.replace(/\/$/, '');
}

const attributeOf = (attributes: string, name: 'rel' | 'href'): string | undefined => {
  const match = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(attributes);
  return match?.[1] ?? match?.[2];
};
