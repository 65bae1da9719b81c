/**
 * Owns where peers of WireGuard were last heard from, across a restart of the box: those that have no endpoint of their
 * own (branches, to a hub). Without it they must call first, and a peer finds out that its session is void only after
 * 15 s of no answer (KEEPALIVE_TIMEOUT + REKEY_TIMEOUT). A wrong endpoint costs a packet: keys decide who a peer is.
 */
import { z } from 'zod';
import { IpAddress } from '../model/addresses.ts';
import type { System } from '../system/ports.ts';
import type { WireGuardSpec } from './items.ts';
import type { WireGuardState } from './wireguardText.ts';

const FILE = '/var/lib/branchbox/agent/endpoints.json';
const MAX_BYTES = 4 * 1024 * 1024;

/** By interface, then by public key. */
const Endpoints = z.record(
  z.string(),
  z.record(z.string(), z.strictObject({ address: IpAddress, port: z.int().min(1).max(65_535) })),
);
export type Endpoints = z.output<typeof Endpoints>;

export interface Roaming {
  /**
   * Writes only where a peer was heard from elsewhere; never fails, and tries again at the next look. `noted` is what each
   * interface was told last.
   */
  remember(states: readonly WireGuardState[], noted: ReadonlyMap<string, WireGuardSpec>): Promise<void>;
  /** The spec of a new interface, with what is known of peers that it gives no endpoint. Never fails. */
  recall(spec: WireGuardSpec): Promise<WireGuardSpec>;
}

export function createRoaming(
  files: Pick<System['files'], 'readText' | 'writeDurable'>,
  log: System['log'],
): Roaming {
  let known: Endpoints | undefined;
  /** As it is on the disk, as far as it can be read there. */
  let stored: string | undefined;
  /** Logged once, not at each look of a box whose disk is full. */
  let isFailing = false;
  const readStored = async (): Promise<Endpoints> => {
    // An unreadable sector costs the places, so that peers must call first; it must not cost the look at WireGuard, too.
    const endpoints = parseEndpoints(await files.readText(FILE, MAX_BYTES).catch(() => undefined));
    stored = JSON.stringify(endpoints);
    return endpoints;
  };
  const read = async (): Promise<Endpoints> => {
    known ??= await readStored();
    return known;
  };
  return {
    async remember(states, noted) {
      known = mergeEndpoints(await read(), states, noted);
      const text = JSON.stringify(known);
      if (text === stored) return;
      try {
        await files.writeDurable(FILE, text);
        stored = text;
        isFailing = false;
      } catch (error) {
        if (!isFailing) log.warn('where peers were heard from cannot be kept', { error });
        isFailing = true;
      }
    },
    async recall(spec) {
      const ofLink = (await read())[spec.link] ?? {};
      const peers = spec.peers.map((peer) => {
        const endpoint = peer.endpoint ?? ofLink[peer.publicKey];
        return endpoint === undefined ? peer : { ...peer, endpoint };
      });
      return { ...spec, peers };
    },
  };
}

/** A peer that was not heard from yet keeps its old place; one that is no peer any more loses it. Pure. */
export function mergeEndpoints(
  before: Endpoints,
  states: readonly WireGuardState[],
  noted: ReadonlyMap<string, WireGuardSpec>,
): Endpoints {
  const after: Endpoints = { ...before };
  for (const { link, peers } of states) {
    const told = noted.get(link);
    // A new interface knows nobody yet: that says nothing about its peers.
    if (told === undefined || peers.length === 0) continue;
    const places: Endpoints[string] = {};
    for (const { publicKey, endpoint } of told.peers) {
      if (endpoint !== undefined) continue;
      const heard = peers.find((peer) => peer.publicKey === publicKey)?.endpoint;
      const place = heard ?? before[link]?.[publicKey];
      if (place !== undefined) places[publicKey] = { address: place.address, port: place.port };
    }
    if (Object.keys(places).length > 0) after[link] = places;
    else delete after[link];
  }
  return after;
}

function parseEndpoints(text: string | undefined): Endpoints {
  try {
    return Endpoints.parse(JSON.parse(text ?? '{}'));
  } catch {
    return {};
  }
}
