/**
 * Owns observing gates that the box itself shows: links that are not ours to make. Gates that follow from facts (a
 * kernel's features, ports by label) are gates.ts's; both give them the same ids, so either may report one.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { AnyItem, Outcome } from '../reconcile/item.ts';
import { external, portGate } from './itemIds.ts';
import type { ExternalItem } from './items.ts';
import type { KernelLink } from './kernelLink.ts';
import { failed } from './outcome.ts';

/** Kinds that only software makes: no port of a box. veth is one in a lab. */
const NEVER_A_PORT: ReadonlySet<string> = new Set([
  'bridge',
  'vxlan',
  'wireguard',
  'tun',
  'vrf',
  'dummy',
  'vlan',
  'ppp',
]);

export interface ExternalDriverNeeds {
  readonly links: (signal: AbortSignal) => Promise<readonly KernelLink[]>;
  /** Gates known otherwise (presentGates of the agent's facts). */
  readonly others?: () => readonly ExternalItem[];
}

export function createExternalDriver({ links, others }: ExternalDriverNeeds): Driver<ExternalItem> {
  const never = (items: readonly AnyItem[]): Promise<readonly Outcome[]> =>
    Promise.resolve(
      items.map(({ id }) =>
        failed(
          id,
          new BranchboxError('internal', { message: `${id} is somebody else's: it is not changed` }),
        ),
      ),
    );
  return {
    async observe(signal) {
      const found = await links(signal);
      const gates = new Map((others?.() ?? []).map((gate) => [gate.id, gate]));
      const add = (gate: ExternalItem): void => {
        if (!gates.has(gate.id)) gates.set(gate.id, gate);
      };
      for (const { ifname, kind } of found) {
        if (ifname === 'lo' || NEVER_A_PORT.has(kind ?? '')) continue;
        add(external(portGate(ifname), `port ${ifname} is there, as ${ifname}`));
      }
      return [...gates.values()];
    },
    create: never,
    modify: (changes) => never(changes.map((change) => change.to)),
    delete: never,
    needsRecreate: () => false,
  };
}
