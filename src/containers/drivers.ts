/**
 * Owns putting the drivers of container items together over one engine. Does not own any of them.
 */
import type { Drivers } from '../reconcile/driver.ts';
import type { System } from '../system/ports.ts';
import { createAnchorDriver } from './anchors.ts';
import { createAppDriver } from './apps.ts';
import { createAttachmentDriver } from './attachments.ts';
import type { Engine } from './engine.ts';
import { type Bundles, createImageDriver } from './images.ts';
import { createInventory } from './inventory.ts';
import type { ContainerItem } from './items.ts';

export function createContainerDrivers(options: {
  readonly system: Pick<System, 'runner'>;
  readonly engine: Engine;
  readonly bundles: Bundles;
}): Drivers<ContainerItem> {
  const { engine, bundles } = options;
  const { runner } = options.system;
  const inventory = createInventory(engine);
  return {
    'app-image': createImageDriver(engine, bundles),
    'app-anchor': createAnchorDriver(engine, inventory),
    'app-attachment': createAttachmentDriver({ runner, engine, inventory }),
    app: createAppDriver(engine, inventory),
  };
}
