/**
 * Owns asking an uplink's own DNS servers, each by itself and from the uplink's address: whether they answer, whether
 * they tell the truth about a name that cannot exist, and what they say of the far end's name.
 * Does not own what follows: an address from here is believed no further than TLS proves.
 */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { askThese, type ResolvingUplink } from '../../system/uplinkResolver.ts';
import type { DnsFindings } from './findings.ts';

const LIMITS = { timeoutMs: 1_500, tries: 2 };
const MAX_ADDRESSES = 4;
/** Of one server: a question and its answer, twice asked at most, of a name that is none and of each other. */
export const dnsBytes = (names: number): number => 300 * (1 + names);

export async function checkDns(options: {
  readonly ifname: string;
  readonly servers: readonly string[];
  /** Ours, of the servers' family, without prefix length. */
  readonly address: string;
  /** Of far ends, or the proxy before them. */
  readonly hosts: readonly string[];
  readonly signal: AbortSignal;
}): Promise<DnsFindings> {
  const { ifname, address, signal } = options;
  const hosts = [...new Set(options.hosts.filter((host) => isIP(host) === 0))];
  const asked = options.servers.map(async (server) => {
    const ask = createAsk(server, { ifname, address }, signal);
    // RFC 6761 6.4: `.invalid` has no names; the random label keeps caches out of it.
    const [untrue, ...named] = await Promise.all([
      ask(`b${randomBytes(8).toString('hex')}.invalid`),
      ...hosts.map(ask),
    ]);
    const states = [untrue, ...named].map(({ state }) => state);
    const state = states.includes('answers') ? 'answers' : states.includes('failing') ? 'failing' : 'silent';
    return { server, state, invents: untrue.addresses.length > 0, named } as const;
  });
  const answers = await Promise.all(asked);
  const names = hosts.map((host, index) => ({
    host,
    // As the box itself asks (system/uplinkResolver): once a server has answered, whatever it said, no other is asked.
    addresses: (
      answers.map(({ named }) => named[index]).find((one) => one?.state === 'answers')?.addresses ?? []
    ).slice(0, MAX_ADDRESSES),
  }));
  return { servers: answers.map(({ server, state, invents }) => ({ server, state, invents })), names };
}

type Answered = {
  readonly state: 'answers' | 'silent' | 'failing';
  readonly addresses: readonly string[];
};

function createAsk(server: string, uplink: Pick<ResolvingUplink, 'ifname' | 'address'>, signal: AbortSignal) {
  return async (name: string): Promise<Answered> => {
    try {
      const addresses = await askThese(
        [server],
        uplink,
        async (resolver) => {
          const cancel = (): void => resolver.cancel();
          signal.addEventListener('abort', cancel, { once: true });
          const asked = isIP(uplink.address) === 6 ? resolver.resolve6(name) : resolver.resolve4(name);
          return asked.finally(() => signal.removeEventListener('abort', cancel));
        },
        LIMITS,
      );
      return { state: 'answers', addresses };
    } catch (thrown) {
      signal.throwIfAborted();
      return { state: stateOf(thrown), addresses: [] };
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
