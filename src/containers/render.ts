/**
 * Owns which container items a desired state needs: image, anchor, attachment and app for each app, and the
 * static forwarding entry that makes EVPN advertise it before it ever sent a frame. Pure.
 * Does not own the policy of an attachment's link (policy), only that it is there first.
 */
import type { App } from '../model/app.ts';
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import {
  APP_SOURCES_SET,
  appLinkOf,
  appMacOf,
  appSourceKey,
  bridgeItem,
  bridgeOf,
  type ItemId,
} from '../model/ids.ts';
import { splitCidr } from '../model/addresses.ts';
import { fdb, nftElement } from '../net/itemIds.ts';
import type { NetItem } from '../net/items.ts';
import {
  anchorItemId,
  app as appItem,
  appAnchor,
  appAttachment,
  appImage,
  type AppSpec,
  attachmentItemId,
  type ContainerItem,
  engineGate,
  familiarReference,
} from './items.ts';

export function renderContainers(
  spec: DesiredSpec,
  facts: Facts,
  gatewayId: string,
): readonly (ContainerItem | NetItem)[] {
  const gates: readonly ItemId[] = facts.engine === undefined ? [engineGate] : [];
  const segments = new Map(spec.segments.map((segment) => [segment.id, segment]));
  const images = new Map<ItemId, ContainerItem>();
  const items: (ContainerItem | NetItem)[] = [];
  for (const app of spec.apps) {
    const segment = segments.get(app.attachment.segment);
    // Decoding refuses such a spec; a renderer must not throw over it.
    if (segment === undefined) continue;
    const link = appLinkOf(app);
    const macAddress = appMacOf(gatewayId, app);
    const { address } = splitCidr(app.attachment.address);
    const guard = nftElement({
      family: 'bridge',
      set: APP_SOURCES_SET,
      key: appSourceKey(link, macAddress, address),
    });
    const reference = familiarReference(app.image.reference);
    const { bundle } = app.image;
    const image = appImage({ reference, ...(bundle === undefined ? {} : { bundle }) }, gates);
    images.set(image.id, image);
    items.push(
      appAnchor({ app: app.name, hostname: app.name, state: 'running' }, gates),
      appAttachment(
        {
          app: app.name,
          link,
          bridge: bridgeOf(segment),
          macAddress,
          address: app.attachment.address,
          ...(app.attachment.gateway === undefined ? {} : { gateway: app.attachment.gateway }),
          mtu: spec.fleet.tenantMtu,
          wiring: 'whole',
        },
        [...gates, anchorItemId(app.name), bridgeItem(segment), guard.id],
      ),
      fdb({ link, macAddress }, [attachmentItemId(app.name)]),
      appItem(appSpecOf(app, reference), [
        ...gates,
        anchorItemId(app.name),
        attachmentItemId(app.name),
        image.id,
      ]),
    );
  }
  return [...images.values(), ...items];
}

function appSpecOf(app: App, reference: string): AppSpec {
  const { bundle } = app.image;
  return {
    app: app.name,
    tenant: app.tenant,
    image: { reference, ...(bundle === undefined ? {} : { bundle }) },
    ...(app.command === undefined ? {} : { command: app.command }),
    environment: app.environment,
    ...(app.volumes === undefined ? {} : { volumes: app.volumes }),
    memoryBytes: app.limits.memoryBytes,
    cpus: app.limits.cpus,
    pids: app.limits.pids,
    state: 'running',
    anchor: 'joined',
  };
}
