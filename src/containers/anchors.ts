/**
 * Owns anchors on the engine: containers that hold a namespace and do nothing.
 * Does not own what is in the namespace (attachments) nor who joins it (apps).
 */
import type { Driver } from '../reconcile/driver.ts';
import { eachInTurn } from '../net/outcome.ts';
import { anchorImageTar, PAUSE_PATH } from './anchorImage.ts';
import type { Engine } from './engine.ts';
import type { OwnContainer, ReadInventory } from './inventory.ts';
import {
  ANCHOR_IMAGE,
  type AppAnchorItem,
  anchorName,
  appAnchor,
  LABEL_APP,
  LABEL_ROLE,
  LABEL_SPEC,
} from './items.ts';

/**
 * The program needs a page. But what starts it, runc, is already inside the limit, and with cgroup version 2 so is
 * its copy of itself in memory: 14.3 MiB with runc 1.1 (Debian 13), which otherwise is killed before the first
 * instruction. It is gone when the program runs.
 */
const ANCHOR_MEMORY_BYTES = 32 * 1024 * 1024;
/** It pauses for good; but runc's init starts in the same cgroup, and with a hundredth of an emulated core took a minute. */
const ANCHOR_CPUS = 1;

export function createAnchorDriver(engine: Engine, inventory: ReadInventory): Driver<AppAnchorItem> {
  const haveImage = async (signal: AbortSignal): Promise<void> => {
    const images = await engine.listImages(signal);
    if (images.some((image) => image.names.includes(ANCHOR_IMAGE))) return;
    await engine.importImage(anchorImageTar(), ANCHOR_IMAGE, `/${PAUSE_PATH}`, signal);
  };
  const create: Driver<AppAnchorItem>['create'] = async (items, signal) => {
    let image: Promise<void> | undefined;
    return eachInTurn(items, async ({ spec }) => {
      image ??= haveImage(signal);
      await image;
      const name = anchorName(spec.app);
      await engine.createContainer(
        {
          name,
          image: ANCHOR_IMAGE,
          hostname: spec.hostname,
          environment: {},
          labels: { [LABEL_APP]: spec.app, [LABEL_ROLE]: 'anchor', [LABEL_SPEC]: spec.hostname },
          network: { kind: 'none' },
          memoryBytes: ANCHOR_MEMORY_BYTES,
          cpus: ANCHOR_CPUS,
          pids: 1,
          restart: 'never',
          readOnly: true,
          drop: 'all',
        },
        signal,
      );
      await engine.startContainer(name, signal);
    });
  };
  return {
    observe: async (signal) => (await inventory(signal)).anchors.map(observedAnchor),
    create,
    // Not asked for: every change is a new anchor.
    modify: async (changes, signal) =>
      create(
        changes.map(({ to }) => to),
        signal,
      ),
    delete: (items, signal) =>
      eachInTurn(items, ({ spec }) => engine.removeContainer(anchorName(spec.app), signal)),
    needsRecreate: () => true,
  };
}

/** Pure. */
export function observedAnchor(found: OwnContainer): AppAnchorItem {
  return appAnchor({
    app: found.app,
    hostname: found.labels[LABEL_SPEC] ?? '',
    state: found.state === 'running' ? 'running' : 'stopped',
  });
}
