/**
 * Owns the firmware versions a controller can offer: signed manifests and their parts, which come one by one.
 * Does not own trust: a box believes a manifest by its own anchors. Where the controller is given release anchors too,
 * it refuses at the upload what its boxes would refuse later.
 */
import type { ReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { decodeJson } from '../model/decode.ts';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import { FirmwareManifest, type FirmwarePart, MANIFEST_MAX_BYTES } from '../model/firmware.ts';
import type { Certificate } from '../pki/certificate.ts';
import { verifyJws } from '../pki/jws.ts';
import { OID } from '../pki/oids.ts';
import type { Clock } from '../system/ports.ts';
import type { Blobs, StoredBlob } from './blobs.ts';
import type { Store } from './store/store.ts';

export interface OfferedFirmware {
  readonly manifest: FirmwareManifest;
  readonly jws: string;
  /** Not here yet. */
  readonly missing: readonly FirmwarePart[];
}

export interface FirmwareStore {
  /** Takes a manifest in; its version is offered once all parts are here. */
  register(jws: string): Promise<OfferedFirmware>;
  /** Only what some manifest names, and no byte more. */
  takePart(sha256: string, content: Readable, announcedBytes: number): Promise<StoredBlob>;
  list(): Promise<readonly OfferedFirmware[]>;
  /** Whole versions: version → signed manifest. */
  offered(): Promise<ReadonlyMap<string, string>>;
  /** Its parts go with it, but for those that another version names. */
  remove(version: string): Promise<void>;
  open(sha256: string, range: { readonly start: number; readonly end: number }): ReadStream;
}

export function createFirmwareStore(options: {
  readonly store: Store['firmware'];
  readonly blobs: Blobs;
  /** undefined: every manifest that can be read is taken. */
  readonly anchors: readonly Certificate[] | undefined;
  readonly clock: Clock;
}): FirmwareStore {
  const { store, blobs, anchors, clock } = options;

  const list = async (): Promise<readonly OfferedFirmware[]> => {
    const present = await store.parts();
    return [...(await store.manifests()).values()].map((jws) => offer(jws, present));
  };
  const offer = (jws: string, present: ReadonlyMap<string, number>): OfferedFirmware => {
    const manifest = manifestOf(jws);
    return { manifest, jws, missing: manifest.parts.filter(({ sha256 }) => !present.has(sha256)) };
  };

  return {
    list,
    async register(text) {
      const jws = text.trim();
      const manifest = manifestOf(jws);
      if (anchors !== undefined) await verify(jws, manifest, anchors);
      const known = (await store.manifests()).get(manifest.version);
      if (known !== undefined && manifestOf(known).rootHash !== manifest.rootHash) {
        throw new BranchboxError('controller/conflict', {
          message: `another build of ${manifest.version} is here already`,
          mend: 'Build it as another version: a box takes one version for one content. Or remove the other first.',
        });
      }
      await store.putManifest(manifest.version, jws, clock.nowMs());
      return offer(jws, await store.parts());
    },
    async takePart(sha256, content, announcedBytes) {
      const part = (await list())
        .flatMap(({ manifest }) => manifest.parts)
        .find((one) => one.sha256 === sha256);
      if (part === undefined) {
        throw new BranchboxError('controller/not-found', {
          message: `no manifest names a part ${sha256}`,
          mend: 'Upload the manifest first.',
        });
      }
      const stored = await blobs.take(content, { sha256, announcedBytes, maxBytes: part.sizeBytes });
      await store.addPart(sha256, stored.sizeBytes, clock.nowMs());
      return stored;
    },
    async offered() {
      const whole = (await list()).filter(({ missing }) => missing.length === 0);
      return new Map(whole.map(({ manifest, jws }) => [manifest.version, jws]));
    },
    async remove(version) {
      const all = await list();
      const gone = all.find(({ manifest }) => manifest.version === version);
      if (gone === undefined) {
        throw new BranchboxError('controller/not-found', {
          message: `no firmware ${version} is here`,
          mend: '`branchbox fleet firmware list` names those that are',
        });
      }
      await store.removeManifest(version);
      const kept = new Set(
        all
          .filter((one) => one !== gone)
          .flatMap(({ manifest }) => manifest.parts.map(({ sha256 }) => sha256)),
      );
      for (const { sha256 } of gone.manifest.parts) {
        if (kept.has(sha256)) continue;
        await store.removePart(sha256);
        await blobs.remove(sha256);
      }
    },
    open: (sha256, range) => blobs.open(sha256, range),
  };
}

/** What a manifest says, whoever signed it. */
export function manifestOf(jws: string): FirmwareManifest {
  if (jws.length > MANIFEST_MAX_BYTES) {
    throw new BranchboxError('model/invalid', {
      message: `a manifest has at most ${MANIFEST_MAX_BYTES} bytes`,
    });
  }
  const payload = Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8');
  return decodeJson(FirmwareManifest, payload, 'the firmware manifest');
}

async function verify(
  jws: string,
  manifest: FirmwareManifest,
  anchors: readonly Certificate[],
): Promise<void> {
  try {
    // As a box does it (update/manifest.ts).
    await verifyJws(jws, {
      anchors,
      atMs: manifest.builtAtMs,
      maxBytes: MANIFEST_MAX_BYTES,
      extendedKeyUsage: OID.firmwareSigning,
    });
  } catch (thrown) {
    throw new BranchboxError('model/invalid', {
      message: `the manifest is not signed by a release key: ${asBranchboxError(thrown).message}`,
      cause: thrown,
    });
  }
}
