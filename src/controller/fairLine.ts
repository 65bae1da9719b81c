/**
 * Owns a queue in which networks take turns, within each network its addresses, and of one address first come, first served: who
 * comes a thousand times, or from a thousand addresses of his own, waits behind himself. Does not own what a turn is. Pure.
 */

export interface FairLine<T> {
  /**
   * `of`: the comer's networks, the widest first, the same number for every comer. Where the queue is full, somebody has to go:
   * from the network that has most in it, and within that again. Returns who went, which may be the comer; undefined: nobody.
   */
  push(of: readonly string[], comer: T): T | undefined;
  /** The next, from the network whose turn was longest ago. */
  shift(): T | undefined;
}

interface Network<T> {
  /** How many wait in all of it. */
  length: number;
  /** In the order of their turns; none is empty. */
  readonly parts: Map<string, Network<T>>;
  /** Only in the narrowest. */
  readonly comers: T[];
}

export function createFairLine<T>(capacity: number): FairLine<T> {
  const all = newNetwork<T>();
  return {
    push(of, comer) {
      let dropped: T | undefined;
      if (all.length >= capacity) {
        const way = wayToDrop(all, of);
        if (way === undefined) return comer;
        // His last: those before him have waited for longer.
        dropped = way.at(-1)?.[1].comers.pop();
        take(all, way);
      }
      let network = all;
      network.length += 1;
      for (const name of of) {
        const part = network.parts.get(name) ?? newNetwork<T>();
        network.parts.set(name, part);
        network = part;
        network.length += 1;
      }
      network.comers.push(comer);
      return dropped;
    },
    shift() {
      const way: Way<T> = [];
      let network = all;
      for (let [first] = network.parts; first !== undefined; [first] = network.parts) {
        way.push(first);
        [, network] = first;
      }
      const comer = network.comers.shift();
      if (way.length === 0) return undefined;
      take(all, way);
      let above = all;
      for (const [name, part] of way) {
        // Its turn is over: behind all others.
        if (above.parts.delete(name) && part.length > 0) above.parts.set(name, part);
        above = part;
      }
      return comer;
    },
  };
}

/** Names and networks, the widest first. */
type Way<T> = [string, Network<T>][];

const newNetwork = <T>(): Network<T> => ({ length: 0, parts: new Map(), comers: [] });

/** One less on the whole way. */
function take<T>(all: Network<T>, way: Way<T>): void {
  let above = all;
  above.length -= 1;
  for (const [name, part] of way) {
    part.length -= 1;
    if (part.length === 0) above.parts.delete(name);
    above = part;
  }
}

function longestOf<T>({ parts }: Network<T>): [string, Network<T>] | undefined {
  let found: [string, Network<T>] | undefined;
  for (const part of parts) if (found === undefined || part[1].length > found[1].length) found = part;
  return found;
}

/** Where somebody must give way to a comer of these networks; undefined: the comer himself must. */
function wayToDrop<T>(all: Network<T>, of: readonly string[]): Way<T> | undefined {
  const way: Way<T> = [];
  let network = all;
  /** Still within what the comer is of. */
  let depth: number | undefined = 0;
  for (let longest = longestOf(network); longest !== undefined; longest = longestOf(network)) {
    const own: Network<T> | undefined = depth === undefined ? undefined : network.parts.get(of[depth] ?? '');
    if (depth !== undefined && own !== longest[1]) {
      // Only for a network that has at least two more: with one more the two would only swap. Else within his own network.
      if (longest[1].length > (own?.length ?? 0) + 1) depth = undefined;
      else if (own === undefined) return undefined;
      else longest = [of[depth] ?? '', own];
    }
    if (depth !== undefined) depth += 1;
    way.push(longest);
    [, network] = longest;
  }
  // All the way down it was his own.
  return depth === undefined ? way : undefined;
}

/**
 * Whose an address is, the widest first. IPv4: its /24, the least that is routed on the Internet, and the address. IPv6: its
 * /48, which a site gets at most (RFC 6177), and its /64, since whoever has one address there has all of them (RFC 7934).
 */
export function networksOf(address: string): readonly [string, string] {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  const four = mapped ?? (address.includes(':') ? undefined : address);
  if (four !== undefined) return [four.split('.').slice(0, 3).join('.'), four];
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::');
  const words = (text: string | undefined): string[] => (text ?? '').split(':').filter((word) => word !== '');
  const [before, after] = [words(head), words(tail)];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const all = [...before, ...Array.from({ length: zeros }, () => '0'), ...after].map((word) =>
    Number.parseInt(word, 16).toString(16),
  );
  return [all.slice(0, 3).join(':'), all.slice(0, 4).join(':')];
}
