/**
 * Owns what FRR's `show … json` means for a status: liveness of paths, active routes, remote VTEPs, sessions. Pure.
 * Does not own asking (vty).
 */
import { z } from 'zod';

const BfdPeers = z.array(
  z.object({ peer: z.string(), interface: z.string().optional(), status: z.string() }),
);
const Routes = z.record(
  z.string(),
  z.array(
    z.object({
      selected: z.boolean().optional(),
      nexthops: z
        .array(
          z.object({
            fib: z.boolean().optional(),
            ip: z.string().optional(),
            interfaceName: z.string().optional(),
          }),
        )
        .optional(),
    }),
  ),
);
const Vnis = z.array(
  z.object({
    vni: z.number(),
    type: z.string(),
    numRemoteVteps: z.unknown(),
    remoteVteps: z.unknown().optional(),
  }),
);
const Sessions = z.object({
  peers: z.record(z.string(), z.object({ state: z.string(), pfxRcd: z.number().optional() })).optional(),
});
/** A list of addresses, or (since FRR 8) of objects with one. */
const VtepList = z.array(z.union([z.string(), z.object({ ip: z.string() })]));

export interface FrrState {
  /** By `<peer>%<interface>`; undefined where bfdd did not answer. */
  readonly liveness: ReadonlyMap<string, boolean> | undefined;
  /** Interfaces and next hops that a prefix is reached by now, as `<next hop>%<interface>`. */
  readonly routes: ReadonlyMap<string, readonly string[]> | undefined;
  readonly remoteVteps: ReadonlyMap<number, readonly string[]> | undefined;
  /** Established, by neighbour. */
  readonly sessions: ReadonlyMap<string, boolean> | undefined;
}

export const pathKey = (address: string, ifname: string): string => `${address}%${ifname}`;

export function parseLiveness(answer: unknown): FrrState['liveness'] {
  const decoded = BfdPeers.safeParse(answer);
  if (!decoded.success) return undefined;
  return new Map(
    decoded.data.map(({ peer, interface: ifname, status }) => [pathKey(peer, ifname ?? ''), status === 'up']),
  );
}

export function parseRoutes(answer: unknown): FrrState['routes'] {
  const decoded = Routes.safeParse(answer);
  if (!decoded.success) return undefined;
  return new Map(
    Object.entries(decoded.data).map(([prefix, routes]) => [
      prefix,
      routes
        .filter(({ selected }) => selected === true)
        .flatMap(({ nexthops }) => nexthops ?? [])
        .filter(({ fib }) => fib === true)
        .map(({ ip, interfaceName }) => pathKey(ip ?? '', interfaceName ?? '')),
    ]),
  );
}

export function parseVnis(answer: unknown): FrrState['remoteVteps'] {
  // Without any VNI, zebra answers with an empty object.
  const decoded = Vnis.safeParse(Array.isArray(answer) ? answer : []);
  if (!decoded.success || answer === undefined) return undefined;
  return new Map(
    decoded.data
      .filter(({ type }) => type === 'L2')
      .map(({ vni, remoteVteps, numRemoteVteps }) => {
        const list = VtepList.safeParse(remoteVteps ?? numRemoteVteps);
        const addresses = list.success
          ? list.data.map((one) => (typeof one === 'string' ? one : one.ip))
          : [];
        return [vni, addresses.toSorted()];
      }),
  );
}

export function parseSessions(answer: unknown): FrrState['sessions'] {
  const decoded = Sessions.safeParse(answer);
  if (!decoded.success) return undefined;
  return new Map(
    Object.entries(decoded.data.peers ?? {}).map(([peer, { state }]) => [peer, state === 'Established']),
  );
}

/**
 * What of the sessions moves a status: who is there, and how many routes each told; of one that is away not how far its next call
 * has come, which a branch makes each second. undefined where bgpd is silent.
 */
export function parseNeighbours(answer: unknown): ReadonlyMap<string, string> | undefined {
  const decoded = Sessions.safeParse(answer);
  if (!decoded.success) return undefined;
  return new Map(
    Object.entries(decoded.data.peers ?? {}).map(([peer, { state, pfxRcd }]) => [
      peer,
      state === 'Established' ? `there ${pfxRcd ?? 0}` : 'away',
    ]),
  );
}
