/**
 * Owns attachments: a veth from a segment's bridge into an anchor's namespace, with the address, MAC, MTU and gateway
 * that the desired state gives; no NAT, no published port. Changed in place where possible, so that the app does not
 * restart.
 * Does not own the anchor, nor the policy of the link: the link needs the policy's element, so that is there before the
 * link is up.
 */
import { BranchboxError } from '../model/errors.ts';
import { LEAST_IPV6_MTU } from '../net/linkRender.ts';
import { eachInTurn } from '../net/outcome.ts';
import { addressWord, ifnameWord, macWord, MAX_U32, numberWord, prefixWord } from '../net/word.ts';
import { LINK_GROUP } from '../net/linkRead.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { Runner } from '../system/ports.ts';
import {
  appOfLink,
  attachmentAlias,
  type HostLink,
  type InnerEnd,
  mayReplace,
  observedAttachment,
  parseHostLinks,
  parseInnerEnd,
} from './attachmentRead.ts';
import type { Engine } from './engine.ts';
import type { ReadInventory } from './inventory.ts';
import { type AppAttachmentItem, type AppAttachmentSpec, anchorName } from './items.ts';

/** Name of the link inside every app. */
const INNER = 'eth0';
const ARP_NOTIFY = `/proc/sys/net/ipv4/conf/${INNER}/arp_notify`;

export interface AttachmentPorts {
  readonly runner: Runner;
  readonly engine: Engine;
  readonly inventory: ReadInventory;
}

export function createAttachmentDriver(ports: AttachmentPorts): Driver<AppAttachmentItem> {
  const { runner, engine, inventory } = ports;

  const readHost = async (signal: AbortSignal): Promise<readonly HostLink[]> =>
    parseHostLinks(await runner.runChecked('ip', ['-j', '-d', 'link', 'show', 'type', 'veth'], { signal }));
  const namespaceOf = async (app: string, signal: AbortSignal): Promise<string | undefined> =>
    (await engine.inspectContainer(anchorName(app), signal))?.namespacePath;
  const outside = (lines: readonly string[], signal: AbortSignal): Promise<string> =>
    runner.runChecked('ip', ['-batch', '-'], { signal, stdin: text(lines) });
  const inside = (path: string, lines: readonly string[], signal: AbortSignal): Promise<string> =>
    runner.runChecked('nsenter', [`--net=${path}`, 'ip', '-batch', '-'], { signal, stdin: text(lines) });

  const readInner = async (app: string, signal: AbortSignal): Promise<InnerEnd | undefined> => {
    const path = await namespaceOf(app, signal);
    if (path === undefined) return undefined;
    const result = await runner.run('nsenter', [`--net=${path}`, 'ip', '-j', '-batch', '-'], {
      signal,
      stdin: text([`address show dev ${INNER}`, 'route show default']),
    });
    // No eth0, or the anchor ended in between: either way nothing is in there.
    return result.exitCode === 0 ? parseInnerEnd(result.stdout) : undefined;
  };

  const mustNamespace = async (app: string, signal: AbortSignal): Promise<string> => {
    const path = await namespaceOf(app, signal);
    if (path !== undefined) return path;
    throw new BranchboxError('reconcile/blocked', { message: `the anchor of app ${app} does not run` });
  };

  const wire = async (spec: AppAttachmentSpec, signal: AbortSignal): Promise<void> => {
    const path = await mustNamespace(spec.app, signal);
    const taken = (await readHost(signal)).find((link) => link.ifname === spec.link);
    if (taken !== undefined && !mayReplace(taken)) {
      throw new BranchboxError('net/kernel', {
        message: `${spec.link} is there already and not ours, so app ${spec.app} cannot be attached`,
      });
    }
    const first = taken === undefined ? [] : [`link delete dev ${ifnameWord(spec.link)}`];
    await outside([...first, ...outerLines(spec, path)], signal);
    await inside(path, innerLines(spec), signal);
    await outside([`link set dev ${ifnameWord(spec.link)} up`], signal);
    await announce(path, spec, signal);
  };

  /**
   * Whoever had the address at another gateway, or by another name, had another MAC address, which others in the segment
   * take for its for half a minute. The kernel sends a gratuitous ARP where it is to (arp_notify) and an address is set,
   * though it is the same. Nobody answers to it, so whether it could be sent changes nothing else.
   */
  const announce = async (path: string, spec: AppAttachmentSpec, signal: AbortSignal): Promise<void> => {
    const stdin = '1\n';
    await runner.run('nsenter', [`--net=${path}`, 'tee', ARP_NOTIFY], { signal, stdin });
    await inside(path, [`link set dev ${INNER} address ${macWord(spec.macAddress)}`], signal);
  };

  const change = async (
    from: AppAttachmentSpec,
    to: AppAttachmentSpec,
    signal: AbortSignal,
  ): Promise<void> => {
    if (from.wiring === 'lost' || from.link !== to.link) {
      if (from.link !== to.link) await unwire(from, signal);
      await wire(to, signal);
      return;
    }
    const path = await mustNamespace(to.app, signal);
    await inside(path, changedInnerLines(from, to), signal);
    const link = ifnameWord(to.link);
    await outside(
      [
        `link set dev ${link} mtu ${numberWord(to.mtu, 65_535)}`,
        `link set dev ${link} master ${ifnameWord(to.bridge)}`,
      ],
      signal,
    );
    const isMoved = from.address !== to.address || from.bridge !== to.bridge;
    if (isMoved || from.macAddress !== to.macAddress) await announce(path, to, signal);
  };

  const unwire = async (spec: AppAttachmentSpec, signal: AbortSignal): Promise<void> => {
    const there = (await readHost(signal)).some((link) => link.ifname === spec.link && mayReplace(link));
    if (there) await outside([`link delete dev ${ifnameWord(spec.link)}`], signal);
  };

  return {
    async observe(signal) {
      const links = await readHost(signal);
      const ours = links.flatMap((link) => {
        const app = appOfLink(link);
        return app === undefined ? [] : [{ app, link }];
      });
      if (ours.length === 0) return [];
      const { answered, anchors } = await inventory(signal);
      // Nobody can say where the other end is: then nothing is claimed, and nothing rewired.
      if (!answered) return [];
      const running = new Set(anchors.filter((a) => a.state === 'running').map((a) => a.app));
      const items: AppAttachmentItem[] = [];
      for (const { app, link } of ours) {
        items.push(
          observedAttachment(app, link, running.has(app) ? await readInner(app, signal) : undefined),
        );
      }
      return items;
    },
    create: (items, signal) => eachInTurn(items, ({ spec }) => wire(spec, signal)),
    modify: (changes, signal) =>
      eachInTurn(
        changes.map(({ from, to }) => ({ id: to.id, from: from.spec, to: to.spec })),
        ({ from, to }) => change(from, to, signal),
      ),
    delete: (items, signal) => eachInTurn(items, ({ spec }) => unwire(spec, signal)),
    // IPv6 comes to a link with its MTU, and with an address of its own unless the link is made anew.
    needsRecreate: (from, to) => !hasIpv6(from.spec) && hasIpv6(to.spec),
  };
}

/** Below its least MTU the kernel keeps no IPv6 on a link: there is nothing to silence. */
const hasIpv6 = ({ mtu }: AppAttachmentSpec): boolean => mtu >= LEAST_IPV6_MTU;
const silentAt = (spec: AppAttachmentSpec): string => (hasIpv6(spec) ? ' addrgenmode none' : '');

const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** The path comes from the engine: one word, or no batch is run with it. */
function pathWord(path: string): string {
  if (/^\/[\w./-]{1,255}$/.test(path)) return path;
  throw new BranchboxError('engine/refused', { message: 'the engine named an odd namespace path' });
}

/** Pure. The group marks the pair from its first moment; the alias says whose it is. */
export function outerLines(spec: AppAttachmentSpec, namespacePath: string): readonly string[] {
  const link = ifnameWord(spec.link);
  const mtu = numberWord(spec.mtu, 65_535);
  return [
    `link add name ${link} group ${numberWord(LINK_GROUP, MAX_U32)} mtu ${mtu} type veth peer name ${INNER} ` +
      `mtu ${mtu} address ${macWord(spec.macAddress)} netns ${pathWord(namespacePath)}`,
    `link set dev ${link} alias ${attachmentAlias(spec.app)}`,
    // No address of the box's own on a tenant's wire, not even a link-local one.
    `link set dev ${link} master ${ifnameWord(spec.bridge)}${silentAt(spec)}`,
  ];
}

/** Pure. */
export function innerLines(spec: AppAttachmentSpec): readonly string[] {
  return [
    `address add ${prefixWord(spec.address)} dev ${INNER}`,
    // The link's guard takes IPv4 and ARP alone, so that an address nobody gave would only time out.
    ...(hasIpv6(spec) ? [`link set dev ${INNER} addrgenmode none`] : []),
    `link set dev ${INNER} up`,
    ...gatewayLines(spec),
  ];
}

/** Pure. The gateway last: the kernel drops its route with the address it was reached by. */
export function changedInnerLines(from: AppAttachmentSpec, to: AppAttachmentSpec): readonly string[] {
  const lines: string[] = [];
  if (from.mtu !== to.mtu) lines.push(`link set dev ${INNER} mtu ${numberWord(to.mtu, 65_535)}`);
  if (from.macAddress !== to.macAddress) {
    lines.push(`link set dev ${INNER} address ${macWord(to.macAddress)}`);
  }
  if (from.address !== to.address) {
    // All at once: the kernel takes secondary addresses along with their first, in an order we cannot see.
    lines.push(`address flush dev ${INNER}`);
    lines.push(`address add ${prefixWord(to.address)} dev ${INNER}`);
  }
  if (to.gateway !== undefined) lines.push(...gatewayLines(to));
  else if (from.gateway !== undefined && from.address === to.address) {
    lines.push('route delete default');
  }
  return lines;
}

const gatewayLines = (spec: AppAttachmentSpec): readonly string[] =>
  spec.gateway === undefined ? [] : [`route replace default via ${addressWord(spec.gateway)} dev ${INNER}`];
