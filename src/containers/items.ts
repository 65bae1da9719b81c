/**
 * Owns the specs of what an app is made of on a box, how their ids follow from them, and the names and labels
 * by which the engine's objects are known as ours.
 * Does not own why an app is wanted (render) nor how it is made (the drivers beside this).
 */
import { createHash } from 'node:crypto';
import { type ItemId, itemId } from '../model/ids.ts';
import type { ItemBase } from '../reconcile/item.ts';

/** An image on the engine. A changed archive under one reference is a changed spec. */
export interface AppImageSpec {
  /** As the engine itself writes it (`app:1`, `registry.example/app:1`): see `familiarReference`. */
  readonly reference: string;
  /** Archive the controller serves; absent: pulled from the registry the reference names. */
  readonly bundle?: { readonly sha256: string; readonly sizeBytes: number };
}
export type AppImageItem = ItemBase<'app-image', AppImageSpec>;

/** The container that holds an app's network namespace, host name and DNS, and runs nothing but a pause. */
export interface AppAnchorSpec {
  readonly app: string;
  readonly hostname: string;
  /** Never started again by anybody: a stopped anchor has lost its namespace and is made anew. */
  readonly state: 'running' | 'stopped';
}
export type AppAnchorItem = ItemBase<'app-anchor', AppAnchorSpec>;

/** The veth from the bridge of a segment into an anchor's namespace, where it is `eth0`. */
export interface AppAttachmentSpec {
  readonly app: string;
  /** Host end. */
  readonly link: string;
  readonly bridge: string;
  readonly macAddress: string;
  /** With prefix length. */
  readonly address: string;
  readonly gateway?: string;
  readonly mtu: number;
  /** lost: one end is not where it belongs; only a new pair helps. */
  readonly wiring: 'whole' | 'lost';
}
export type AppAttachmentItem = ItemBase<'app-attachment', AppAttachmentSpec>;

/** The container the tenant named, in its anchor's namespace. */
export interface AppSpec {
  readonly app: string;
  readonly tenant: string;
  readonly image: AppImageSpec;
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Absent: none. */
  readonly volumes?: readonly { readonly name: string; readonly path: string }[];
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly pids: number;
  /** running: the engine keeps it so, restarts included. stopped: it gave up, or never started. */
  readonly state: 'running' | 'stopped';
  /** lost: the namespace it joined is gone, so that it must not run, and cannot start. */
  readonly anchor: 'joined' | 'lost';
}
export type AppItem = ItemBase<'app', AppSpec>;

export type ContainerItem = AppImageItem | AppAnchorItem | AppAttachmentItem | AppItem;

/** The gate of all of it where no engine answers. */
export const engineGate: ItemId = itemId('external', 'engine');

/** An archive is part of it: while another is loaded under the same reference, an app waits, and runs on as it is. */
export const imageItemId = ({ reference, bundle }: AppImageSpec): ItemId =>
  itemId('app-image', bundle === undefined ? reference : `${reference}#${bundle.sha256.slice(0, 16)}`);
export const anchorItemId = (app: string): ItemId => itemId('app-anchor', app);
export const attachmentItemId = (app: string): ItemId => itemId('app-attachment', app);
export const appItemId = (app: string): ItemId => itemId('app', app);

type Needs = readonly ItemId[];
export const appImage = (spec: AppImageSpec, needs: Needs = []): AppImageItem => ({
  kind: 'app-image',
  id: imageItemId(spec),
  spec,
  needs,
  owner: 'us',
});
export const appAnchor = (spec: AppAnchorSpec, needs: Needs = []): AppAnchorItem => ({
  kind: 'app-anchor',
  id: anchorItemId(spec.app),
  spec,
  needs,
  owner: 'us',
});
export const appAttachment = (spec: AppAttachmentSpec, needs: Needs = []): AppAttachmentItem => ({
  kind: 'app-attachment',
  id: attachmentItemId(spec.app),
  spec,
  needs,
  owner: 'us',
});
export const app = (spec: AppSpec, needs: Needs = []): AppItem => ({
  kind: 'app',
  id: appItemId(spec.app),
  spec,
  needs,
  owner: 'us',
});

/** Ours on the engine: the app's name, the part the container plays, and the spec it was made from. */
export const LABEL_APP = 'io.branchbox.app';
export const LABEL_ROLE = 'io.branchbox.role';
export const LABEL_SPEC = 'io.branchbox.spec';
export type ContainerRole = 'anchor' | 'app';

export const anchorName = (app: string): string => `branchbox-anchor-${app}`;
export const appContainerName = (app: string): string => `branchbox-app-${app}`;
/** A tenant's: an app of another tenant that is named the same finds nothing of it. No part has a dot in it. */
export const volumeName = ({ tenant, app }: Pick<AppSpec, 'tenant' | 'app'>, volume: string): string =>
  `branchbox.${tenant}.${app}.${volume}`;

/**
 * A reference as the engine writes it in its lists: no `docker.io/library/`, always a tag or a digest,
 * and of a tag beside a digest only the digest (which is what the engine resolves by).
 */
export function familiarReference(reference: string): string {
  const short = reference.replace(/^(index\.)?docker\.io\//, '').replace(/^library\//, '');
  const [name = '', digest] = short.split('@');
  const lastPart = name.slice(name.lastIndexOf('/') + 1);
  const colon = lastPart.indexOf(':');
  const bare = colon === -1 ? name : name.slice(0, name.length - lastPart.length + colon);
  if (digest !== undefined) return `${bare}@${digest}`;
  return colon === -1 ? `${name}:latest` : name;
}

/** No registry: names below it are ours alone, and never leave the box. */
const MARK_REGISTRY = 'branchbox.local';
export const ANCHOR_IMAGE = `${MARK_REGISTRY}/anchor:1`;
const MARK_PREFIX = `${MARK_REGISTRY}/image-`;
const FROM_REGISTRY = 'registry';

/**
 * The tag that marks an image as fetched by us for one reference, and says from what: the mark lives on the
 * engine, so that no file of ours can disagree with it.
 */
export function imageMark({ reference, bundle }: AppImageSpec): string {
  const key = createHash('sha256').update(reference).digest('hex').slice(0, 32);
  const source = bundle === undefined ? FROM_REGISTRY : `${bundle.sha256}.${bundle.sizeBytes}`;
  return `${MARK_PREFIX}${key}:${source}`;
}

export const isImageMark = (name: string): boolean => name.startsWith(MARK_PREFIX);

/** What an image's names say it is of ours: each reference that has its mark beside it. */
export function markedImages(names: readonly string[]): readonly AppImageSpec[] {
  const found: AppImageSpec[] = [];
  for (const reference of names) {
    if (isImageMark(reference)) continue;
    const fromRegistry = imageMark({ reference });
    const prefix = fromRegistry.slice(0, -FROM_REGISTRY.length);
    for (const mark of names.filter((name) => name.startsWith(prefix))) {
      const [sha256 = '', size] = mark.slice(prefix.length).split('.');
      if (mark === fromRegistry) found.push({ reference });
      else found.push({ reference, bundle: { sha256, sizeBytes: Number(size) } });
    }
  }
  return found;
}
