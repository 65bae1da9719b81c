/** Owns `ip link add` and `ip link set` of the fake box, with the refusals of the kernel and of `ip` that were met. */
import { type FakeKernel, type FakeLink, GivenUp, Refusal } from './kernel.ts';
import type { Words } from './words.ts';

export function linkAdd(kernel: FakeKernel, words: Words): void {
  words.expect('name');
  const wanted: { -readonly [K in keyof FakeLink]?: FakeLink[K] } = {};
  const name = words.next();
  let kind: FakeLink['kind'] | undefined;
  let master: string | undefined;
  const bridge = { stp_state: 0, forward_delay: 1500, mcast_snooping: 1 };
  const vxlan = { id: 0, local: '', port: 8472, learning: true };
  const common = {
    group: () => void (wanted.group = words.number()),
    mtu: () => void (wanted.mtu = words.number()),
    master: () => void (master = words.next()),
    address: () => {
      wanted.mac = words.next();
      wanted.macSet = true;
    },
    type: () => {
      const word = words.next();
      if (word === 'bridge') words.options(bridgeOptions(words, bridge));
      else if (word === 'vxlan') {
        wanted.vxlan = vxlan;
        words.options({
          id: () => void (vxlan.id = words.number()),
          local: () => void (vxlan.local = words.next()),
          dstport: () => void (vxlan.port = words.number()),
          nolearning: () => void (vxlan.learning = false),
        });
      } else if (word === 'veth') {
        words.expect('peer');
        words.expect('name');
        kernel.addLink({ name: words.next(), kind: 'veth' });
      } else if (word !== 'wireguard') throw words.unknown(`links of type ${word}`);
      kind = word;
    },
  };
  words.options(common);
  if (kind === undefined) throw words.unknown('no type');
  if (master !== undefined) mustExist(kernel, master);
  const link = kernel.addLink({ ...wanted, name, kind, bridge });
  if (master !== undefined) kernel.enslave(link, master);
}

const bridgeOptions = (words: Words, bridge: FakeLink['bridge']): Record<string, () => void> => ({
  stp_state: () => void (bridge.stp_state = words.number()),
  forward_delay: () => void (bridge.forward_delay = words.number()),
  mcast_snooping: () => void (bridge.mcast_snooping = words.number()),
});

/** All words are read before anything is sent to the kernel, as `ip` does: half a line is never done. */
export function linkSet(kernel: FakeKernel, words: Words): void {
  words.expect('dev');
  const link = kernel.link(words.next());
  const effects: (() => void)[] = [];
  const set = (wanted: Partial<FakeLink>): void => void effects.push(() => Object.assign(link, wanted));
  words.options({
    alias: () => set({ alias: words.next() || undefined }),
    group: () => set({ group: words.number() }),
    mtu: () => set({ mtu: words.number() }),
    address: () => set({ mac: words.next(), macSet: true }),
    addrgenmode: () => {
      words.expect('none');
      // Without IPv6 (IPV6_MIN_MTU): before the change it is looked for, and after it.
      if (link.mtu < 1280) throw new Refusal('RTNETLINK answers: Address family not supported by protocol');
      effects.push(() => {
        if (link.mtu < 1280) throw new Refusal('RTNETLINK answers: Address family not supported by protocol');
      });
    },
    up: () => set({ up: true }),
    down: () => {
      set({ up: false });
      effects.push(() => {
        kernel.routes = kernel.routes.filter((route) => route.dev !== link.name);
      });
    },
    master: () => {
      const master = words.next();
      mustExist(kernel, master);
      effects.push(() => kernel.enslave(link, master));
    },
    nomaster: () => void effects.push(() => kernel.enslave(link, undefined)),
    type: () => {
      if (words.take('bridge')) {
        const bridge = { ...link.bridge };
        words.options(bridgeOptions(words, bridge));
        return set({ bridge });
      }
      words.expect('bridge_slave');
      if (link.master === undefined) throw new Refusal('RTNETLINK answers: Operation not supported');
      const port = { ...link.port };
      words.options({
        learning: () => void (port.learning = words.next() === 'on'),
        neigh_suppress: () => void (port.neigh_suppress = words.next() === 'on'),
      });
      return set({ port });
    },
  });
  for (const effect of effects) effect();
}

function mustExist(kernel: FakeKernel, master: string): void {
  if (kernel.links.has(master)) return;
  throw new GivenUp(`Error: argument "${master}" is wrong: Device does not exist\n`);
}
