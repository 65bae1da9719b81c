/**
 * Owns what `ip` says of an attachment: its host end, and `eth0` in the anchor's namespace. Pure.
 * Does not own which namespace that is (attachments).
 */
import { z } from 'zod';
import { LINK_ALIAS_PREFIX } from '../model/ids.ts';
import { parseDump } from '../net/dump.ts';
import { LINK_GROUP } from '../net/linkRead.ts';
import { type AppAttachmentItem, appAttachment, anchorItemId, attachmentItemId } from './items.ts';
import { linkItem } from '../model/ids.ts';

const HostLinks = z.array(
  z.object({
    ifname: z.string(),
    ifindex: z.number(),
    mtu: z.number(),
    flags: z.array(z.string()),
    master: z.string().optional(),
    ifalias: z.string().optional(),
    group: z.string().optional(),
  }),
);
export type HostLink = z.output<typeof HostLinks>[number];

const InnerAddresses = z.array(
  z.object({
    link_index: z.number().optional(),
    mtu: z.number(),
    flags: z.array(z.string()),
    address: z.string(),
    addr_info: z.array(z.object({ family: z.string(), local: z.string(), prefixlen: z.number() })),
  }),
);
const InnerRoutes = z.array(z.object({ gateway: z.string().optional() }));

export interface InnerEnd {
  /** Index of the host end it is a pair with. */
  readonly peerIndex: number | undefined;
  readonly mtu: number;
  readonly up: boolean;
  readonly macAddress: string;
  /** IPv4, sorted. */
  readonly addresses: readonly string[];
  readonly gateway: string | undefined;
}

export const attachmentAlias = (app: string): string => `${LINK_ALIAS_PREFIX}${attachmentItemId(app)}`;
const ALIAS_PREFIX = attachmentAlias('');

export const parseHostLinks = (text: string): readonly HostLink[] => parseDump(text, HostLinks, 'ip link');

/** Of `ip -j -batch -` with `address show dev eth0` and `route show default`: one JSON list a line. */
export function parseInnerEnd(text: string): InnerEnd | undefined {
  const [first = '', second = ''] = text.split('\n').filter((line) => line.startsWith('['));
  const found = parseDump(first, InnerAddresses, 'ip address').find((link) => link.address !== undefined);
  if (found === undefined) return undefined;
  return {
    peerIndex: found.link_index,
    mtu: found.mtu,
    up: found.flags.includes('UP'),
    macAddress: found.address,
    addresses: found.addr_info
      .filter((info) => info.family === 'inet')
      .map((info) => `${info.local}/${info.prefixlen}`)
      .toSorted(),
    gateway: parseDump(second, InnerRoutes, 'ip route').find((route) => route.gateway !== undefined)?.gateway,
  };
}

/** The app a link is the attachment of; undefined where it is none of ours. */
export function appOfLink(link: HostLink): string | undefined {
  return link.ifalias?.startsWith(ALIAS_PREFIX) === true
    ? link.ifalias.slice(ALIAS_PREFIX.length)
    : undefined;
}

/** Ours, or left by us when we were killed between making and naming it. */
export const mayReplace = (link: HostLink): boolean =>
  appOfLink(link) !== undefined || (link.ifalias === undefined && link.group === String(LINK_GROUP));

export function observedAttachment(
  app: string,
  link: HostLink,
  inner: InnerEnd | undefined,
): AppAttachmentItem {
  const whole = inner !== undefined && inner.up && inner.peerIndex === link.ifindex && isUp(link);
  const bridge = link.master ?? '';
  return appAttachment(
    {
      app,
      link: link.ifname,
      bridge,
      macAddress: inner?.macAddress ?? '',
      address: inner?.addresses.join(' ') ?? '',
      ...(inner?.gateway === undefined ? {} : { gateway: inner.gateway }),
      // One figure stands for both ends; an end that differs shows.
      mtu: inner === undefined ? link.mtu : Math.min(link.mtu, inner.mtu),
      wiring: whole ? 'whole' : 'lost',
    },
    [anchorItemId(app), linkItem(bridge)],
  );
}

const isUp = (link: HostLink): boolean => link.flags.includes('UP');
