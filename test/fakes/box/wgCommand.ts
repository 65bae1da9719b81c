/**
 * Owns `wg` of the fake box. A public key is the private one with `pub` before it, cut to length: no curve here.
 */
import type { CommandResult } from '../../../src/system/ports.ts';
import type { FakeKernel } from './kernel.ts';
import { Words } from './words.ts';

interface FakePeer {
  endpoint: string;
  allowedIps: readonly string[];
  keepalive: string;
}
export interface FakeWireGuard {
  privateKey: string;
  listenPort: number;
  mark: string;
  readonly peers: Map<string, FakePeer>;
}
/** By link. */
export type FakeWireGuards = Map<string, FakeWireGuard>;

export const fakePublicKey = (privateKey: string): string =>
  privateKey === '(none)' ? '(none)' : `pub${privateKey}`.slice(0, 42) + 'A=';

export function runWg(
  kernel: FakeKernel,
  state: FakeWireGuards,
  args: readonly string[],
  readFile: (path: string) => string | undefined,
): CommandResult {
  for (const name of state.keys()) if (!kernel.links.has(name)) state.delete(name);
  for (const { name, kind } of kernel.links.values()) {
    if ((kind === 'wireguard' || kind === 'tun') && !state.has(name)) state.set(name, fresh());
  }
  if (args.join(' ') === 'show all dump') return { exitCode: 0, stdout: dump(state), stderr: '' };
  const words = new Words(args);
  const verb = words.next();
  if (verb !== 'syncconf' && verb !== 'setconf') throw words.unknown(verb);
  const name = words.next();
  const text = readFile(words.next());
  words.end();
  const link = state.get(name);
  if (link === undefined || text === undefined) {
    return { exitCode: 1, stdout: '', stderr: 'Unable to modify interface: No such device\n' };
  }
  configure(link, text, verb === 'setconf');
  return { exitCode: 0, stdout: '', stderr: '' };
}

const fresh = (): FakeWireGuard => ({
  privateKey: '(none)',
  listenPort: 53_315,
  mark: 'off',
  peers: new Map(),
});

function configure(link: FakeWireGuard, text: string, anew: boolean): void {
  if (anew) Object.assign(link, { ...fresh(), peers: link.peers });
  const before = new Map(link.peers);
  link.peers.clear();
  let peer: FakePeer | undefined;
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const [key = '', value = ''] = line.split(' = ');
    if (key === '[Interface]') continue;
    if (key === '[Peer]') peer = { endpoint: '(none)', allowedIps: [], keepalive: 'off' };
    else if (key === 'PrivateKey') link.privateKey = value;
    else if (key === 'ListenPort') link.listenPort = Number(value);
    else if (key === 'FwMark') link.mark = value === '0' ? 'off' : `0x${Number(value).toString(16)}`;
    else if (peer === undefined) throw new Words(line).unknown('outside of a peer');
    else if (key === 'PublicKey') {
      // What it learned of a peer that stays, it keeps.
      peer.endpoint = before.get(value)?.endpoint ?? '(none)';
      link.peers.set(value, peer);
    } else if (key === 'AllowedIPs') peer.allowedIps = value.split(', ').filter((one) => one !== '');
    else if (key === 'Endpoint') peer.endpoint = value;
    else if (key === 'PersistentKeepalive') peer.keepalive = value === '0' ? 'off' : value;
    else throw new Words(line).unknown(key);
  }
}

function dump(state: FakeWireGuards): string {
  const lines: string[] = [];
  for (const [name, link] of state) {
    const key = fakePublicKey(link.privateKey);
    lines.push([name, link.privateKey, key, link.listenPort, link.mark].join('\t'));
    for (const [publicKey, { endpoint, allowedIps, keepalive }] of link.peers) {
      const ips = allowedIps.length === 0 ? '(none)' : allowedIps.join(',');
      lines.push([name, publicKey, '(none)', endpoint, ips, 0, 0, 0, keepalive].join('\t'));
    }
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
