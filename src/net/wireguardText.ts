/**
 * Owns the two texts of wg(8): `wg show all dump`, and the configuration that `wg syncconf` takes. Pure.
 */
import { IpAddress, WireGuardPublicKey } from '../model/addresses.ts';
import { BranchboxError } from '../model/errors.ts';
import { Secret } from '../model/secret.ts';
import type { WireGuardPeerSpec, WireGuardSpec } from './items.ts';
import { addressWord, isIpv6, MAX_U32, numberWord, prefixWord } from './word.ts';

const MAX_PORT = 65_535;

/** What an interface shows; no private key, which the dump holds too. */
export interface WireGuardState {
  readonly link: string;
  readonly publicKey: string;
  readonly listenPort: number;
  readonly mark: number;
  readonly peers: readonly WireGuardPeerSpec[];
}

/** Five fields are an interface, nine a peer of the one before. */
export function parseWireGuardDump(text: string): readonly WireGuardState[] {
  const states: (Omit<WireGuardState, 'peers'> & { readonly peers: WireGuardPeerSpec[] })[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split('\t');
    const [link = '', first = '', second = '', third = '', fourth = ''] = fields;
    if (fields.length === 5) {
      states.push({ link, publicKey: second, listenPort: Number(third), mark: numberOr0(fourth), peers: [] });
    } else if (fields.length === 9) {
      const endpoint = parseEndpoint(third);
      states.at(-1)?.peers.push({
        publicKey: first,
        ...(endpoint === undefined ? {} : { endpoint }),
        allowedIps: fourth === '(none)' ? [] : fourth.split(',').toSorted(),
        keepaliveS: numberOr0(fields[8] ?? ''),
      });
    }
  }
  return states.map((state) => ({ ...state, peers: sortPeers(state.peers) }));
}

/** `off`, `0x101`, `25`. */
const numberOr0 = (text: string): number => (text === 'off' ? 0 : Number(text));

function parseEndpoint(text: string): WireGuardPeerSpec['endpoint'] {
  const match = /^\[?([^\]]+?)\]?:(\d+)$/.exec(text);
  if (match?.[1] === undefined || !IpAddress.safeParse(match[1]).success) return undefined;
  return { address: match[1], port: Number(match[2]) };
}

export const sortPeers = (peers: readonly WireGuardPeerSpec[]): readonly WireGuardPeerSpec[] =>
  peers.toSorted((a, b) => (a.publicKey < b.publicKey ? -1 : 1));

export function renderWireGuardConfig(spec: WireGuardSpec, privateKey: Secret): Secret {
  const lines = [
    '[Interface]',
    `PrivateKey = ${key(privateKey.reveal().trim(), 'the private key')}`,
    ...(spec.listenPort === undefined ? [] : [`ListenPort = ${numberWord(spec.listenPort, MAX_PORT)}`]),
    `FwMark = ${numberWord(spec.mark, MAX_U32)}`,
  ];
  for (const peer of spec.peers) {
    lines.push('[Peer]', `PublicKey = ${key(peer.publicKey, 'a public key')}`);
    lines.push(`AllowedIPs = ${peer.allowedIps.map(prefixWord).join(', ')}`);
    if (peer.endpoint !== undefined) {
      const address = addressWord(peer.endpoint.address);
      const host = isIpv6(address) ? `[${address}]` : address;
      lines.push(`Endpoint = ${host}:${numberWord(peer.endpoint.port, MAX_PORT)}`);
    }
    lines.push(`PersistentKeepalive = ${numberWord(peer.keepaliveS, MAX_PORT)}`);
  }
  return new Secret(`${lines.join('\n')}\n`);
}

/** Private keys are Curve25519 scalars, in the same base64 form. The value is never shown: it may be secret. */
function key(text: string, what: string): string {
  const fits =
    what === 'the private key'
      ? /^[A-Za-z0-9+/]{43}=$/.test(text)
      : WireGuardPublicKey.safeParse(text).success;
  if (!fits) throw new BranchboxError('model/invalid', { message: `${what} is not a WireGuard key` });
  return text;
}

/**
 * Whether an interface is as a spec says. Its peers' endpoints are not compared where it has one: WireGuard follows a
 * peer that roams, and is not to be pulled back. A port it chose by itself is as good as any.
 */
export function isAsSpecified(state: WireGuardState, spec: WireGuardSpec): boolean {
  if (state.publicKey !== spec.publicKey || state.mark !== spec.mark) return false;
  if (spec.listenPort !== undefined && spec.listenPort !== state.listenPort) return false;
  if (state.peers.length !== spec.peers.length) return false;
  const wanted = sortPeers(spec.peers);
  return state.peers.every((peer, index) => {
    const want = wanted[index];
    return (
      want !== undefined &&
      peer.publicKey === want.publicKey &&
      peer.keepaliveS === want.keepaliveS &&
      peer.allowedIps.join() === want.allowedIps.toSorted().join() &&
      (want.endpoint === undefined || peer.endpoint !== undefined)
    );
  });
}
