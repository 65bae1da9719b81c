/**
 * Owns kernel routes of our own protocol (98), in any table. zebra's, the kernel's and a DHCP client's are not ours.
 */
import { z } from 'zod';
import { type ItemId, KERNEL_PROTOCOL, linkItem } from '../model/ids.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { System } from '../system/ports.ts';
import { checkDump, parseDump } from './dump.ts';
import { route } from './itemIds.ts';
import type { RouteItem, RouteSpec } from './items.ts';
import type { IpShow } from './ipShow.ts';
import { lineChanges } from './lineChanges.ts';
import { addressWord, ifnameWord, isIpv6, MAX_U32, numberWord, prefixWord } from './word.ts';

const KernelRoutes = z.array(
  z.object({
    dst: z.string(),
    type: z.string().optional(),
    table: z.string().optional(),
    gateway: z.string().optional(),
    dev: z.string().optional(),
    metric: z.number().optional(),
    prefsrc: z.string().optional(),
    flags: z.array(z.string()).default([]),
    /** Router preference: printed with IPv6 routes alone, and all that tells the two defaults apart. */
    pref: z.string().optional(),
  }),
);
const SHOW = `route show table all proto ${KERNEL_PROTOCOL}`;
const MAIN_TABLE = 254;
/** RTN_UNREACHABLE, linux/rtnetlink.h: `-N` prints types as numbers. */
const UNREACHABLE = '7';
const IP = { command: 'ip' } as const;

export function createRouteDriver({
  runner,
  ip,
}: Pick<System, 'runner'> & { readonly ip: IpShow }): Driver<RouteItem> {
  return {
    observe: async (signal) => observed(checkDump(await ip.show(SHOW, signal), KernelRoutes, `ip ${SHOW}`)),
    ...lineChanges<RouteItem, 'add' | 'replace'>({
      runner,
      tool: IP,
      create: 'add',
      modify: 'replace',
      line: (verb, { spec }) => renderRoute(verb, spec),
    }),
    // Table, destination and metric are the id; all else is replaced in one step, with no packet lost between.
    needsRecreate: () => false,
  };
}

/** Pure. */
export function renderRoute(verb: 'add' | 'replace' | 'del', spec: RouteSpec): string {
  if (isIpv6(spec.destination) && spec.metric === 0) {
    throw new BranchboxError('model/invalid', {
      message: `the IPv6 route to ${spec.destination} needs a metric: the kernel makes 1024 of none`,
    });
  }
  const words = [`route ${verb}`];
  if (spec.type === 'unreachable') words.push('unreachable');
  words.push(prefixWord(spec.destination), `table ${numberWord(spec.table, MAX_U32)}`);
  words.push(`metric ${numberWord(spec.metric, MAX_U32)}`, `proto ${KERNEL_PROTOCOL}`);
  if (spec.via !== undefined) words.push(`via ${addressWord(spec.via)}`);
  if (spec.dev !== undefined) words.push(`dev ${ifnameWord(spec.dev)}`);
  // Neither is part of what the kernel finds a route by.
  if (verb !== 'del' && spec.source !== undefined) words.push(`src ${addressWord(spec.source)}`);
  if (verb !== 'del' && spec.onlink === true) words.push('onlink');
  return words.join(' ');
}

/** Pure. */
export const parseRoutes = (text: string): readonly RouteItem[] =>
  observed(parseDump(text, KernelRoutes, 'ip route'));

function observed(routes: z.output<typeof KernelRoutes>): readonly RouteItem[] {
  return routes.map((found) => {
    const unreachable = found.type === UNREACHABLE;
    const needs: ItemId[] = found.dev === undefined || unreachable ? [] : [linkItem(found.dev)];
    const spec: RouteSpec = {
      table: found.table === undefined ? MAIN_TABLE : Number(found.table),
      destination: destinationOf(found.dst, found.pref !== undefined),
      type: unreachable ? 'unreachable' : 'unicast',
      metric: found.metric ?? 0,
      ...(found.gateway === undefined ? {} : { via: found.gateway }),
      // IPv6 shows unreachable routes on lo, though nobody put them there.
      ...(found.dev === undefined || unreachable ? {} : { dev: found.dev }),
      ...(found.flags.includes('onlink') ? { onlink: true } : {}),
      ...(found.prefsrc === undefined ? {} : { source: found.prefsrc }),
    };
    return route(spec, needs);
  });
}

/** A host's address is printed without a length, and everything as `default`. */
function destinationOf(dst: string, ipv6: boolean): string {
  if (dst === 'default') return ipv6 ? '::/0' : '0.0.0.0/0';
  if (dst.includes('/')) return dst;
  return `${dst}/${ipv6 ? 128 : 32}`;
}
