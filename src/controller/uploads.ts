/**
 * Owns opening what people upload to the controller: bundles of apps' images, and firmware with what it is held against.
 * Does not own how either is kept (blobs.ts, firmware.ts).
 */
import { join } from 'node:path';
import { PART_MAX_BYTES } from '../model/firmware.ts';
import { parseCertificates } from '../pki/certificate.ts';
import { HOW_MADE, whyNoImageArchive } from '../system/imageArchive.ts';
import type { Clock, Files } from '../system/ports.ts';
import { type Blobs, openBlobs } from './blobs.ts';
import type { ControllerConfig } from './config.ts';
import { createFirmwareStore, type FirmwareStore } from './firmware.ts';
import { readNeeded } from './prerequisites.ts';
import type { Store } from './store/store.ts';

export interface Uploads {
  readonly bundles: Blobs;
  readonly firmware: FirmwareStore;
}

/** How apps' images are kept, and what they are held against when they come. */
export const BUNDLES = {
  suffix: '.tar',
  what: 'the bundle',
  form: { whyNone: whyNoImageArchive, mend: HOW_MADE },
} as const;

export async function openUploads(options: {
  readonly config: ControllerConfig;
  readonly store: Pick<Store, 'firmware'>;
  readonly files: Files;
  readonly clock: Clock;
}): Promise<Uploads> {
  const { config, store, files, clock } = options;
  const bundles = await openBlobs({
    ...BUNDLES,
    directory: join(config.stateDir, 'bundles'),
    maxBytes: config.bundleMaxBytes,
  });
  const parts = await openBlobs({
    directory: join(config.stateDir, 'firmware'),
    maxBytes: Math.max(...Object.values(PART_MAX_BYTES)),
    suffix: '.part',
    what: 'the part',
  });
  const { releaseAnchors } = config;
  const anchors =
    releaseAnchors === undefined ? undefined : parseCertificates(await readNeeded(files, releaseAnchors));
  return { bundles, firmware: createFirmwareStore({ store: store.firmware, blobs: parts, anchors, clock }) };
}
