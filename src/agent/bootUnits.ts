/**
 * Owns the note of the units that the next boot starts without waiting for the agent: the uplinks' address clients, so
 * that there are leases when it first looks, and the container engine where there are apps. firmware/boot-uplinks reads
 * it; a wrong note costs no more than a needless start.
 */
import type { AnyItem } from '../reconcile/item.ts';
import type { Files, Logger } from '../system/ports.ts';
import { ENGINE_UNIT } from './engineStart.ts';

export interface BootUnits {
  /** Writes only where it changes something; never fails. */
  note(wanted: readonly AnyItem[]): Promise<void>;
}

export function createBootUnits(parts: {
  readonly files: Pick<Files, 'readText' | 'writeDurable'>;
  readonly path: string;
  readonly log: Logger;
}): BootUnits {
  const { files, path, log } = parts;
  let noted: string | undefined;
  return {
    async note(wanted) {
      const text = renderBootUnits(wanted);
      try {
        noted ??= (await files.readText(path)) ?? '';
        if (text === noted) return;
        await files.writeDurable(path, text, 0o644);
        noted = text;
      } catch (thrown) {
        // A full disk makes the next boot slower, and holds up nothing now.
        log.warn('what a boot starts cannot be noted', { error: thrown });
      }
    },
  };
}

/** One unit a line. Pure. */
export function renderBootUnits(wanted: readonly AnyItem[]): string {
  // A client on a VLAN finds no interface until the agent made it.
  const isOnLink = ({ kind, needs }: AnyItem): boolean =>
    kind === 'link' && needs.some((need) => need.startsWith('link:'));
  const made = new Set(wanted.filter(isOnLink).map(({ id }) => id));
  // A service's id is `service:UNIT`.
  const units = wanted
    .filter(({ kind, needs }) => kind === 'service' && !needs.some((need) => made.has(need)))
    .map(({ id }) => id.slice('service:'.length))
    .filter((unit) => /^dhcpcd6?@/.test(unit));
  const engine = wanted.some(({ kind }) => kind === 'app') ? [ENGINE_UNIT] : [];
  return [...new Set([...units, ...engine])]
    .toSorted()
    .map((unit) => `${unit}\n`)
    .join('');
}
