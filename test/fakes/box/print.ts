/**
 * Owns a box as text, `ip`-like and in a stable order, from the dumps of its own commands: of the fake box and of a
 * real kernel alike. What the kernel makes by itself (its own routes, link-local addresses, learned entries) is left out.
 */
import { z } from 'zod';
import type { KernelLink } from '../../../src/net/kernelLink.ts';
import { parseLinks } from '../../../src/net/linkRead.ts';
import type { Runner } from '../../../src/system/ports.ts';

const Routes = z.array(
  z.object({
    type: z.string().optional(),
    dst: z.string(),
    table: z.string().optional(),
    gateway: z.string().optional(),
    dev: z.string().optional(),
    metric: z.number().optional(),
    prefsrc: z.string().optional(),
    protocol: z.string().optional(),
    flags: z.array(z.string()),
  }),
);
const Addresses = z.array(
  z.object({
    ifname: z.string(),
    addr_info: z.array(
      z.object({
        local: z.string(),
        prefixlen: z.number(),
        protocol: z.string().optional(),
        scope: z.string().optional(),
      }),
    ),
  }),
);
const Rules = z.array(
  z.object({
    priority: z.number(),
    src: z.string(),
    srclen: z.number().optional(),
    dst: z.string().optional(),
    dstlen: z.number().optional(),
    fwmark: z.string().optional(),
    table: z.string().optional(),
    action: z.string().optional(),
    protocol: z.string().optional(),
  }),
);
const Fdb = z.array(
  z.object({ mac: z.string(), ifname: z.string(), state: z.string().optional(), flags: z.array(z.string()) }),
);
const Nft = z.object({ nftables: z.array(z.record(z.string(), z.record(z.string(), z.unknown()))) });

/** Protocols the kernel itself makes routes with (RTPROT_KERNEL). */
const KERNEL = '2';

export async function printBox(runner: Pick<Runner, 'runChecked'>): Promise<string> {
  const signal = AbortSignal.timeout(30_000);
  const json = async (command: string, ...args: string[]): Promise<unknown> => {
    const text = await runner.runChecked(command, args, { signal });
    return JSON.parse(text.trim() === '' ? '[]' : text);
  };
  const lines = [
    ...parseLinks(await runner.runChecked('ip', ['-j', '-d', '-N', 'address'], { signal })).map(linkLine),
    ...Addresses.parse(await json('ip', '-j', '-N', 'address')).flatMap(addressLines),
    ...Routes.parse(await json('ip', '-j', '-N', 'route', 'show', 'table', 'all')).flatMap(routeLine),
    ...Rules.parse(await json('ip', '-4', '-j', '-N', 'rule')).flatMap(ruleLine),
    ...Rules.parse(await json('ip', '-6', '-j', '-N', 'rule'))
      .flatMap(ruleLine)
      .map((line) => `${line} (IPv6)`),
    ...Fdb.parse(await json('bridge', '-j', 'fdb', 'show', 'state', 'static')).flatMap((entry) =>
      entry.state === 'static'
        ? [`fdb ${entry.mac} dev ${entry.ifname}${entry.flags.map((f) => ` ${f}`).join('')}`]
        : [],
    ),
    ...Nft.parse(await json('nft', '-j', '-t', '-s', 'list', 'ruleset')).nftables.flatMap(nftLine),
  ];
  return `${lines.toSorted().join('\n')}\n`;
}

const given = (word: string, value: unknown): string =>
  value === undefined ? '' : ` ${word} ${String(value)}`;

function linkLine(link: KernelLink): string {
  const { data, port, kind } = link;
  const state = link.flags.includes('UP') ? 'up' : 'down';
  return (
    `link ${link.ifname}${given('type', kind)} mtu ${link.mtu} ${state}` +
    given('master', link.master) +
    (kind === 'vxlan' ? `${given('id', data['id'])}${given('local', data['local'])}` : '') +
    (kind === 'vxlan' ? `${given('port', data['port'])}${given('learning', data['learning'])}` : '') +
    (kind === 'bridge'
      ? `${given('stp', data['stp_state'])}${given('snooping', data['mcast_snooping'])}`
      : '') +
    (link.master === undefined ? '' : given('port-learning', port['learning'])) +
    (link.master === undefined ? '' : given('suppress', port['neigh_suppress'])) +
    given('alias', link.ifalias)
  );
}

const addressLines = ({ ifname, addr_info }: z.output<typeof Addresses>[number]): string[] =>
  addr_info
    .filter((address) => ifname !== 'lo' || !/^(127\.|::1$)/.test(address.local))
    .filter((address) => !address.local.startsWith('fe80:'))
    .map(
      ({ local, prefixlen, protocol }) =>
        `address ${local}/${prefixlen} dev ${ifname}${given('proto', protocol)}`,
    );

function routeLine(route: z.output<typeof Routes>[number]): string[] {
  if (route.protocol === KERNEL) return [];
  return [
    `route ${route.type === '7' ? 'unreachable ' : ''}${route.dst}` +
      `${given('via', route.gateway)}${given('dev', route.dev)} table ${route.table ?? '254'}` +
      `${given('metric', route.metric)}${given('src', route.prefsrc)}${given('proto', route.protocol)}` +
      (route.flags.includes('onlink') ? ' onlink' : ''),
  ];
}

function ruleLine(rule: z.output<typeof Rules>[number]): string[] {
  // 0, 32766, 32767: the kernel's own three.
  if (rule.protocol === undefined && [0, 32_766, 32_767].includes(rule.priority)) return [];
  const from = rule.srclen === undefined ? rule.src : `${rule.src}/${rule.srclen}`;
  const to =
    rule.dst === undefined ? '' : ` to ${rule.dst}${rule.dstlen === undefined ? '' : `/${rule.dstlen}`}`;
  const action = rule.action === '7' ? 'unreachable' : `lookup ${rule.table}`;
  return [
    `rule ${rule.priority} from ${from}${to}${given('mark', rule.fwmark)} ${action}${given('proto', rule.protocol)}`,
  ];
}

function nftLine(entry: z.output<typeof Nft>['nftables'][number]): string[] {
  const { chain, rule, set, map } = entry;
  const place = (object: Readonly<Record<string, unknown>>): string =>
    `${String(object['family'])} ${String(object['table'])}`;
  if (chain !== undefined) {
    const hook =
      chain['hook'] === undefined
        ? ''
        : ` ${String(chain['hook'])} ${String(chain['prio'])} ${String(chain['policy'])}`;
    return [`nft chain ${place(chain)} ${String(chain['name'])}${hook}`];
  }
  if (rule !== undefined) return [`nft rule ${place(rule)} ${String(rule['chain'])}`];
  const object = set ?? map;
  return object === undefined
    ? []
    : [`nft ${set === undefined ? 'map' : 'set'} ${place(object)} ${String(object['name'])}`];
}
