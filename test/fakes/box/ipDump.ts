/**
 * Owns the JSON that `ip` and `bridge` of the fake box print: the fields that are read, in the kernel's own forms
 * (a default destination, a main table left out, numbers for names). Shapes taken from iproute2 6.15.
 */
import type { FakeKernel, FakeLink, FakeRoute } from './kernel.ts';

/** `ip -j -d -N address`: links with all about them, and their addresses. */
export function linkDump(kernel: FakeKernel, device?: string): string {
  const links = [...kernel.links.values()].filter((link) => device === undefined || link.name === device);
  return JSON.stringify(
    links.map((link) => ({
      ifname: link.name,
      flags: link.up ? ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'] : ['BROADCAST', 'MULTICAST'],
      mtu: link.mtu,
      ...(link.master === undefined ? {} : { master: link.master }),
      group: String(link.group),
      address: link.mac,
      ...(link.kind === 'loopback' ? {} : { linkinfo: linkInfo(link) }),
      ...(link.alias === undefined ? {} : { ifalias: link.alias }),
      addr_info: addressesOf(kernel, link.name),
    })),
  );
}

function linkInfo(link: FakeLink) {
  const data =
    link.kind === 'bridge'
      ? { info_data: { ...link.bridge } }
      : link.kind === 'vxlan'
        ? { info_data: { ...link.vxlan } }
        : link.kind === 'tun'
          ? { info_data: { type: 'tun', persist: false } }
          : {};
  const port =
    link.master === undefined ? {} : { info_slave_kind: 'bridge', info_slave_data: { ...link.port } };
  return { info_kind: link.kind, ...data, ...port };
}

export function addressDump(kernel: FakeKernel): string {
  return JSON.stringify(
    [...kernel.links.keys()].map((ifname) => ({
      ifname,
      addr_info: addressesOf(kernel, ifname),
    })),
  );
}

const addressesOf = (kernel: FakeKernel, ifname: string) =>
  kernel.addresses
    .filter((address) => address.link === ifname)
    .map(({ address, protocol }) => ({
      family: address.includes(':') ? 'inet6' : 'inet',
      local: address.split('/')[0],
      prefixlen: Number(address.split('/')[1]),
      ...(protocol === undefined ? {} : { protocol: `0x${protocol.toString(16)}` }),
    }));

/** Filtered by a protocol, `ip` leaves that out of what it prints; and it never prints `boot`, which is 3. */
export function routeDump(kernel: FakeKernel, protocol?: number): string {
  const wanted = (route: FakeRoute): boolean => protocol === undefined || route.protocol === protocol;
  return JSON.stringify(
    kernel.routes.filter(wanted).map((route) => {
      const ipv6 = route.dst.includes(':');
      const host = ipv6 ? '/128' : '/32';
      return {
        ...(route.type === 'unreachable' ? { type: '7' } : {}),
        dst: route.dst.endsWith('/0') ? 'default' : route.dst.replace(new RegExp(`${host}$`), ''),
        ...(route.via === undefined ? {} : { gateway: route.via }),
        ...(route.dev === undefined ? {} : { dev: route.dev }),
        ...(route.table === 254 ? {} : { table: String(route.table) }),
        ...(route.src === undefined ? {} : { prefsrc: route.src }),
        ...(route.metric === 0 ? {} : { metric: route.metric }),
        ...(protocol !== undefined || route.protocol === 3 ? {} : { protocol: String(route.protocol) }),
        flags: route.onlink ? ['onlink'] : [],
        ...(ipv6 ? { pref: 'medium' } : {}),
      };
    }),
  );
}

export function ruleDump(kernel: FakeKernel, family: '-4' | '-6'): string {
  const builtIn = [
    { priority: 0, src: 'all', table: '255' },
    { priority: 32766, src: 'all', table: '254' },
    ...(family === '-4' ? [{ priority: 32767, src: 'all', table: '253' }] : []),
  ];
  const selector = (name: 'src' | 'dst', prefix: string | undefined) => {
    const [address, length] = (prefix ?? '').split('/');
    if (prefix === undefined) return name === 'src' ? { src: 'all' } : {};
    return { [name]: address, ...(length === undefined ? {} : { [`${name}len`]: Number(length) }) };
  };
  const added = kernel.rules
    .filter((rule) => rule.family === family)
    .map((rule) => ({
      priority: rule.preference,
      ...selector('src', rule.from),
      ...selector('dst', rule.to),
      ...(rule.mark === undefined ? {} : { fwmark: `0x${rule.mark.toString(16)}` }),
      ...(rule.table === undefined ? { action: '7' } : { table: String(rule.table) }),
      ...(rule.protocol === 3 ? {} : { protocol: String(rule.protocol) }),
    }));
  return JSON.stringify([...builtIn, ...added].toSorted((a, b) => a.priority - b.priority));
}

export function fdbDump(kernel: FakeKernel): string {
  return JSON.stringify(
    kernel.fdb.map((entry) => ({
      mac: entry.mac,
      ifname: entry.link,
      flags: entry.externLearn ? ['extern_learn'] : [],
      master: entry.master,
      state: 'static',
    })),
  );
}
