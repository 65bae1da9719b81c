/**
 * Owns a line in which peers take turns, not comers: who comes a thousand times waits behind himself. Of one peer first
 * come, first served. Does not own who counts as one peer's (peerOfAddress says for addresses) nor what a turn is. Pure.
 */

export interface FairLine<T> {
  /**
   * Where the line is full, somebody of the peer with the most in it goes: undefined, nobody; else who, the comer
   * himself where his peer has the most.
   */
  push(peer: string, comer: T): T | undefined;
  /** The peer whose turn was longest ago. */
  shift(): T | undefined;
}

export function createFairLine<T>(capacity: number): FairLine<T> {
  /** In the order of their turns; none is empty. */
  const peers = new Map<string, T[]>();
  let length = 0;

  function longest(): T[] {
    let found: T[] = [];
    for (const own of peers.values()) if (own.length > found.length) found = own;
    return found;
  }
  return {
    push(peer, comer) {
      const own = peers.get(peer);
      let dropped: T | undefined;
      if (length >= capacity) {
        const most = longest();
        if (own === most || most.length <= (own?.length ?? 0) + 1) return comer;
        // His last: those before him have waited for longer.
        dropped = most.pop();
        length -= 1;
      }
      if (own === undefined) peers.set(peer, [comer]);
      else own.push(comer);
      length += 1;
      return dropped;
    },
    shift() {
      const [first] = peers;
      if (first === undefined) return undefined;
      const [peer, own] = first;
      const comer = own.shift();
      length -= 1;
      peers.delete(peer);
      if (own.length > 0) peers.set(peer, own);
      return comer;
    },
  };
}

/** IPv4: the address. IPv6: its /64, since whoever has one address there has all of them (RFC 7934). */
export function peerOfAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::');
  const words = (text: string | undefined): string[] => (text ?? '').split(':').filter((word) => word !== '');
  const [before, after] = [words(head), words(tail)];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array.from({ length: zeros }, () => '0'), ...after]
    .slice(0, 4)
    .map((word) => Number.parseInt(word, 16).toString(16))
    .join(':');
}
