/**
 * Owns the hooks of the address clients as parsers: dhcpcd's, with the time servers that it names, and pppd's. What the wire
 * says comes to them by environment and words.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import { bentWord, hostileWord } from './hostileWords.ts';
import { json } from './samples.ts';
import { createScriptBench } from './scriptBench.ts';
import { covering, jsonOf, LEASES, must, onlyFiles, parsed, type Script } from './scriptCase.ts';

const SOURCES = 'run/chrony-dhcp';
const HookCase = z.strictObject({
  interface: z.string(),
  calls: z.array(z.strictObject({ reason: z.string(), values: z.record(z.string(), z.string()) })),
});
const PppCase = z.strictObject({ words: z.array(z.string()), values: z.record(z.string(), z.string()) });

const HOOKED = [
  {
    reason: 'BOUND',
    values: { new_ip_address: '192.0.2.5', new_subnet_cidr: '24', new_routers: '192.0.2.1' },
  },
  {
    reason: 'RENEW',
    values: {
      new_domain_name_servers: '192.0.2.53 192.0.2.54',
      new_domain_name: 'branch.example',
      new_ntp_servers: '192.0.2.1 192.0.2.2 192.0.2.3',
      new_sztp_redirect: 'https://a.example https://b.example:8443/',
      new_captive_portal_uri: 'https://portal.example/api',
      new_host_name: 'box',
    },
  },
  {
    reason: 'ROUTERADVERT',
    values: {
      nd1_from: 'fe80::1',
      nd1_lifetime: '1800',
      nd1_addr1: '2001:db8::5/64',
      nd1_prefix_information1_prefix: '2001:db8::',
      nd1_rdnss1_servers: '2001:db8::53',
    },
  },
  {
    reason: 'BOUND6',
    values: {
      new_dhcp6_ia_na1_ia_addr1: '2001:db8::100',
      new_dhcp6_name_servers: '2001:db8::53',
      new_dhcp6_sztp_redirect: 'https://a.example',
      new_dhcp6_ntp_server1_addr1: '2001:db8::123',
      new_dhcp6_sntp_servers: '2001:db8::124 2001:db8::125',
    },
  },
] as const;
const OTHER_REASONS = ['EXPIRE', 'STOPPED', 'NOCARRIER', 'STOP6', 'EXPIRE6', 'PREINIT', 'CARRIER', 'NAK'];
const FOUR = /^new_[a-z0-9_]+$/;

export function dhcpHook(): Script {
  const scripts = { 'dhcpcd-hook': ['/run/branchbox', '/proc/'], 'time-servers': ['/run/chrony'] };
  const bench = createScriptBench({ scripts, commands: {} });
  return {
    covers: covering(scripts),
    samples: [json({ interface: 'wan1', calls: HOOKED })],
    mutate: jsonOf(HookCase, (sample, chance) => ({
      interface: chance.once(8) ? hostileWord(chance).slice(0, 15) : sample.interface,
      calls: Array.from({ length: 1 + chance.below(2) }, () => {
        const { reason, values } = chance.one(sample.calls);
        const bent = Object.entries(values).map(([name, value]) => [
          name,
          chance.once(3) ? bentWord(value, chance) : value,
        ]);
        return {
          reason: chance.once(6) ? chance.one([...OTHER_REASONS, hostileWord(chance)]) : reason,
          values: Object.fromEntries(bent),
        };
      }),
    })),
    parse: async (input) => {
      const { data } = HookCase.safeParse(parsed(input));
      if (data === undefined) return undefined;
      const { interface: ifname, calls } = data;
      return bench.within(async (world) => {
        const lines = new Set<string>();
        let last: readonly string[] = [];
        for (const { reason, values } of calls) {
          const isSix = /6$|^ROUTER/.test(reason);
          const family = isSix ? { branchbox_family: '6' } : {};
          // A locale in which a byte may be no character, as a machine may have one.
          await world.run('dhcpcd-hook', [], {
            LC_ALL: 'C.UTF-8',
            interface: ifname,
            reason,
            ...family,
            ...values,
          });
          last = Object.entries(values)
            .filter(([name]) => isSix || FOUR.test(name))
            .map(([name, value]) => `${name}=${value.replaceAll('\0', '').replaceAll('\n', ' ')}`);
          for (const line of [...last, `reason=${reason}`, `interface=${ifname}`]) lines.add(line);
        }
        const hidden = [`.${ifname}.ra`, `.${ifname}.dhcp6`];
        const mine = [`${ifname}.env`, `${ifname}.env6`, ...hidden].map((name) => `${LEASES}/${name}`);
        const sources = [4, 6].map((family) => `${SOURCES}/${ifname}.ipv${family}.sources`);
        const written = onlyFiles(world, (path) => mine.includes(path) || sources.includes(path));
        for (const path of written) {
          const text = world.read(path) ?? '';
          const told = text.split('\n').slice(0, -1);
          if (path.startsWith(SOURCES)) {
            const isAddress = path.includes('.ipv4.') ? isIPv4 : isIPv6;
            must(told.length <= (path.includes('.ipv4.') ? 2 : 1), `${told.length} time servers`);
            for (const line of told) {
              const word = /^server (\S+) minpoll 5$/.exec(line)?.[1];
              must(word !== undefined && isAddress(word), `tells chrony: ${line}`);
            }
          } else for (const line of told) must(lines.has(line), `nobody said: ${line.slice(0, 200)}`);
        }
        const { reason } = calls.at(-1) ?? { reason: '' };
        const kept = mine
          .map((path) => world.read(path) ?? '')
          .join('')
          .split('\n');
        if (['BOUND', 'RENEW', 'ROUTERADVERT', 'BOUND6'].includes(reason) && written.length > 0) {
          const wanted = last.filter((line) =>
            /^(new_|nd1_(from|lifetime|addr|rdnss|prefix_inf))/.test(line),
          );
          for (const line of wanted) must(kept.includes(line), `dropped ${line.slice(0, 200)}`);
        }
        return written.length === 0 ? undefined : String(written.length);
      });
    },
  };
}

export function pppoeHook(): Script {
  const scripts = { 'pppd-up': ['/run/branchbox'], 'pppd-down': ['/run/branchbox'] };
  const bench = createScriptBench({ scripts, commands: {} });
  return {
    covers: covering(scripts),
    samples: [
      json({
        words: ['ppp-wan1', '/dev/ttyX', '0', '203.0.113.50', '203.0.113.1', ''],
        values: { DNS1: '203.0.113.53', DNS2: '203.0.113.54', USEPEERDNS: '1' },
      }),
    ],
    mutate: jsonOf(PppCase, ({ words, values }, chance) => ({
      // The first names an interface: no more than the kernel has room for.
      words: words
        .map((word) => (chance.once(3) ? bentWord(word, chance) : word))
        .map((word, at) => (at === 0 ? word.slice(0, 15) : word)),
      values: Object.fromEntries(
        Object.entries(values).map(([name, value]) => [
          name,
          chance.once(2) ? bentWord(value, chance) : value,
        ]),
      ),
    })),
    parse: async (input) => {
      const { data } = PppCase.safeParse(parsed(input));
      if (data === undefined) return undefined;
      const { words, values } = data;
      const ifname = words[0] ?? '';
      return bench.within(async (world) => {
        await world.run('pppd-up', words, values);
        const written = onlyFiles(world, (path) => path === `${LEASES}/${ifname.replaceAll('\0', '')}.env`);
        for (const path of written) {
          const names = (world.read(path) ?? '')
            .split('\n')
            .slice(0, -1)
            .map((line) => line.split('=')[0]);
          const wanted = ['reason', 'interface', 'new_ip_address', 'new_subnet_cidr', 'new_routers'];
          must(names.join() === [...wanted, 'new_domain_name_servers'].join(), `has lines ${names.join()}`);
        }
        await world.run('pppd-down', words, values);
        must(onlyFiles(world, () => true).length === 0, 'the lease outlives its session');
        return written.length === 0 ? undefined : 'told';
      });
    },
  };
}
