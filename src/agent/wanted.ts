/**
 * Owns what the box wants as items, read anew for each run: the desired state, facts, a bootstrap medium's network and
 * the mark of a box that its owner does not trust; and what follows from it on disk (static leases, units of a boot).
 * Does not own rendering (items.ts), any of these files' form, nor when it is asked.
 */
import type { Quarantine } from '../model/bootstrap.ts';
import type { DesiredSpec } from '../model/desired.ts';
import type { AnyItem } from '../reconcile/item.ts';
import type { System } from '../system/ports.ts';
import { planFactoryUplinks } from '../wan/factory.ts';
import { createBootUnits } from './bootUnits.ts';
import type { FactsGatherer } from './facts.ts';
import { renderBox } from './items.ts';
import type { MediumNetwork } from './mediumNetwork.ts';
import { type AgentPaths, bootUnitsPath, leasesDirectory } from './paths.ts';
import { readQuarantine } from './quarantine.ts';
import { holdStaticLeases, renderStaticLeases } from './staticLeases.ts';

export interface Wanted {
  items(limit: AbortSignal): Promise<readonly AnyItem[]>;
  /** As the last items were rendered; undefined while the owner trusts this box. */
  quarantine(): Quarantine | undefined;
  /** Enrolled: what was for the installer goes now. Distrusted, or trusted again: what is for tenants does. */
  isOutdated(): Promise<boolean>;
}

export async function createWanted(parts: {
  readonly system: Pick<System, 'files' | 'log'>;
  readonly paths: AgentPaths;
  readonly facts: Pick<FactsGatherer, 'gather'>;
  readonly network: Pick<MediumNetwork, 'read'>;
  readonly spec: () => DesiredSpec | undefined;
  readonly gatewayId: () => string | undefined;
}): Promise<Wanted> {
  const { paths } = parts;
  const { files, log } = parts.system;
  const bootUnits = createBootUnits({ files, path: bootUnitsPath(paths), log });
  let renderedFor: string | undefined;
  let quarantine = await readQuarantine(files, paths);
  return {
    quarantine: () => quarantine,
    async items(limit) {
      const found = await parts.facts.gather(limit);
      renderedFor = parts.gatewayId();
      quarantine = await readQuarantine(files, paths);
      const quarantined = quarantine !== undefined;
      const spec = parts.spec();
      const network = await parts.network.read();
      const wanted = renderBox(spec, found, renderedFor, { quarantined, network });
      // Told by a file: the watch over leases brings the facts of it.
      const statics = renderStaticLeases(spec?.uplinks ?? planFactoryUplinks(found, network), found);
      await holdStaticLeases(files, leasesDirectory(paths), statics);
      await bootUnits.note(wanted);
      return wanted;
    },
    async isOutdated() {
      const isMarked = (await readQuarantine(files, paths)) !== undefined;
      return parts.gatewayId() !== renderedFor || isMarked !== (quarantine !== undefined);
    },
  };
}
