/**
 * Owns app images on the engine: fetched, verified, marked, and swept when nobody wants them.
 * Does not own the way to the controller (bundles).
 */
import { BranchboxError } from '../model/errors.ts';
import type { Driver } from '../reconcile/driver.ts';
import { eachInTurn } from '../net/outcome.ts';
import type { Engine, EngineImage } from './engine.ts';
import { orNothing } from './inventory.ts';
import {
  type AppImageItem,
  type AppImageSpec,
  appImage,
  imageMark,
  isImageMark,
  markedImages,
} from './items.ts';

/** Where archives come from. */
export interface Bundles {
  /** A file with exactly those bytes: verified while it came, never above its size. The caller discards it. */
  fetch(sha256: string, sizeBytes: number, signal: AbortSignal): Promise<string>;
  discard(path: string): Promise<void>;
}

export function createImageDriver(engine: Engine, bundles: Bundles): Driver<AppImageItem> {
  const load = async (
    { reference }: AppImageSpec,
    bundle: NonNullable<AppImageSpec['bundle']>,
    signal: AbortSignal,
  ): Promise<void> => {
    const path = await bundles.fetch(bundle.sha256, bundle.sizeBytes, signal);
    try {
      const names = await engine.loadImage(path, signal);
      const others = names.filter((name) => name !== reference);
      // An archive may carry any names: taking them would let one tenant replace another's image.
      for (const other of others) await engine.removeImage(other, signal);
      if (!names.includes(reference)) {
        throw new BranchboxError('engine/image', {
          message: `the archive of ${reference} holds ${names.join(', ') || 'no image'} instead`,
          mend: `Save it with \`docker save ${reference}\` and upload it again.`,
        });
      }
    } finally {
      await bundles.discard(path);
    }
  };
  const have = async (spec: AppImageSpec, signal: AbortSignal): Promise<void> => {
    if (spec.bundle === undefined) await engine.pullImage(spec.reference, signal);
    else await load(spec, spec.bundle, signal);
    await engine.tagImage(spec.reference, imageMark(spec), signal);
  };

  return {
    observe: (signal) =>
      orNothing<readonly AppImageItem[]>([], async () =>
        (await engine.listImages(signal)).flatMap(observedImages),
      ),
    create: (items, signal) => eachInTurn(items, ({ spec }) => have(spec, signal)),
    modify: (changes, signal) =>
      eachInTurn(
        changes.map(({ to }) => to),
        ({ spec }) => have(spec, signal),
      ),
    async delete(items, signal) {
      const outcomes = await eachInTurn(items, ({ spec }) => engine.removeImage(spec.reference, signal));
      await sweepImages(engine, signal);
      return outcomes;
    },
    // The new archive is loaded beside the old one, under which the app still runs.
    needsRecreate: () => false,
  };
}

/** Images that only a mark of ours still names: their reference went, or moved to a newer archive. */
export async function sweepImages(engine: Engine, signal: AbortSignal): Promise<void> {
  for (const image of await engine.listImages(signal)) {
    const orphaned = markedImages(image.names).length === 0;
    for (const name of image.names) {
      if (orphaned && isImageMark(name)) await engine.removeImage(name, signal);
    }
  }
}

/** Pure. */
export const observedImages = (image: EngineImage): readonly AppImageItem[] =>
  markedImages(image.names).map((spec) => appImage(spec));
