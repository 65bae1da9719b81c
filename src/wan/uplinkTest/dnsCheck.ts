/**
 * Owns asking an uplink's own DNS servers, each by itself and from the uplink's address: whether they answer, whether
 * they tell the truth about a name that cannot exist, and what they say of the far end's name.
 * Does not own what follows: an address from here is believed no further than TLS proves.
 */
import { randomBytes } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { DnsFindings } from './findings.ts';

const TIMEOUT_MS = 1_500;
const TRIES = 2;
const MAX_ADDRESSES = 4;
/** A question and its answer, twice asked at most. */
export const DNS_BYTES = 600;

export async function checkDns(options: {
  readonly servers: readonly string[];
  /** Ours, of the servers' family, without prefix length. */
  readonly address: string;
  /** Of the far end. */
  readonly host: string | undefined;
  readonly signal: AbortSignal;
}): Promise<DnsFindings> {
  const { address, host, signal } = options;
  const asked = options.servers.map(async (server) => {
    const ask = createAsk(server, address, signal);
    // RFC 6761 6.4: `.invalid` has no names; the random label keeps caches out of it.
    const untrue = await ask(`b${randomBytes(8).toString('hex')}.invalid`);
    const named = host === undefined || isIP(host) !== 0 ? undefined : await ask(host);
    const states = [untrue.state, named?.state];
    const state = states.includes('answers') ? 'answers' : states.includes('failing') ? 'failing' : 'silent';
    return { server, state, invents: untrue.addresses.length > 0, named: named?.addresses ?? [] } as const;
  });
  const answers = await Promise.all(asked);
  const name =
    host === undefined || isIP(host) !== 0
      ? undefined
      : { host, addresses: [...new Set(answers.flatMap(({ named }) => named))].slice(0, MAX_ADDRESSES) };
  return { servers: answers.map(({ server, state, invents }) => ({ server, state, invents })), name };
}

type Answered = {
  readonly state: 'answers' | 'silent' | 'failing';
  readonly addresses: readonly string[];
};

function createAsk(server: string, address: string, signal: AbortSignal) {
  return async (name: string): Promise<Answered> => {
    const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
    const cancel = (): void => resolver.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      if (isIP(server) === 6) {
        resolver.setServers([`[${server}]`]);
        resolver.setLocalAddress('0.0.0.0', address);
        return { state: 'answers', addresses: await resolver.resolve6(name) };
      }
      resolver.setServers([server]);
      resolver.setLocalAddress(address);
      return { state: 'answers', addresses: await resolver.resolve4(name) };
    } catch (thrown) {
      signal.throwIfAborted();
      return { state: stateOf(thrown), addresses: [] };
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  };
}

/** "No such name" is an answer, and often the right one. */
function stateOf(thrown: unknown): Answered['state'] {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  switch (code) {
    case 'ENOTFOUND':
    case 'ENODATA':
      return 'answers';
    case 'ESERVFAIL':
    case 'EREFUSED':
    case 'EFORMERR':
    case 'ENOTIMP':
    case 'EBADRESP':
      return 'failing';
    default:
      return 'silent';
  }
}
