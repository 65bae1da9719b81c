/**
 * Owns app containers on the engine: made from their spec in their anchor's namespace, kept running by the engine.
 * Does not own the namespace (anchors, attachments) nor the image (images).
 */
import { z } from 'zod';
import { tryJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { eachInTurn } from '../net/outcome.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { Engine } from './engine.ts';
import { sweepImages } from './images.ts';
import type { Inventory, OwnContainer, ReadInventory } from './inventory.ts';
import {
  app as appItem,
  type AppItem,
  type AppSpec,
  anchorItemId,
  anchorName,
  appContainerName,
  attachmentItemId,
  imageItemId,
  imageMark,
  LABEL_APP,
  LABEL_ROLE,
  LABEL_SPEC,
  volumeName,
} from './items.ts';

/** What the label holds: the part of the spec that the container was made from. */
const Made = z.strictObject({
  tenant: z.string(),
  image: z.strictObject({
    reference: z.string(),
    bundle: z.strictObject({ sha256: z.string(), sizeBytes: z.number() }).exactOptional(),
  }),
  command: z.array(z.string()).exactOptional(),
  environment: z.record(z.string(), z.string()),
  volumes: z.array(z.strictObject({ name: z.string(), path: z.string() })).exactOptional(),
  memoryBytes: z.number(),
  cpus: z.number(),
  pids: z.number(),
});

export function createAppDriver(engine: Engine, inventory: ReadInventory): Driver<AppItem> {
  const make = async (spec: AppSpec, signal: AbortSignal): Promise<void> => {
    const anchor = await engine.inspectContainer(anchorName(spec.app), signal);
    if (anchor?.running !== true) {
      throw new BranchboxError('reconcile/blocked', {
        message: `the anchor of app ${spec.app} does not run`,
      });
    }
    const name = appContainerName(spec.app);
    const id = await engine.createContainer(
      {
        name,
        // By our mark, not by the reference: an archive that was loaded later may have moved that.
        image: imageMark(spec.image),
        ...(spec.command === undefined ? {} : { command: spec.command }),
        environment: spec.environment,
        volumes: (spec.volumes ?? []).map(({ name, path }) => ({ name: volumeName(spec, name), path })),
        labels: { [LABEL_APP]: spec.app, [LABEL_ROLE]: 'app', [LABEL_SPEC]: labelOf(spec) },
        network: { kind: 'joined', container: anchor.id },
        memoryBytes: spec.memoryBytes,
        cpus: spec.cpus,
        pids: spec.pids,
        restart: 'always',
        readOnly: false,
        drop: 'network',
      },
      signal,
    );
    await engine.startContainer(id, signal);
  };

  /** Before the old container goes: an app must not be down for as long as a download takes. */
  const mustHaveImage = async (spec: AppSpec, signal: AbortSignal): Promise<void> => {
    const mark = imageMark(spec.image);
    if ((await engine.listImages(signal)).some((image) => image.names.includes(mark))) return;
    throw new BranchboxError('reconcile/blocked', {
      message: `the image ${spec.image.reference} of app ${spec.app} is not on the box yet`,
    });
  };

  return {
    observe: async (signal) => {
      const found = await inventory(signal);
      return found.apps.map((container) => observedApp(container, found));
    },
    create: (items, signal) => eachInTurn(items, ({ spec }) => make(spec, signal)),
    async modify(changes, signal) {
      const outcomes = await eachInTurn(
        changes.map(({ from, to }) => ({ id: to.id, from, to })),
        async ({ from, to }) => {
          if (onlyStopped(from.spec, to.spec)) {
            await engine.startContainer(appContainerName(to.spec.app), signal);
            return;
          }
          await mustHaveImage(to.spec, signal);
          await engine.removeContainer(appContainerName(to.spec.app), signal);
          await make(to.spec, signal);
        },
      );
      await sweepImages(engine, signal);
      return outcomes;
    },
    async delete(items, signal) {
      const outcomes = await eachInTurn(items, ({ spec }) =>
        engine.removeContainer(appContainerName(spec.app), signal),
      );
      await sweepImages(engine, signal);
      return outcomes;
    },
    // In place as the plan sees it: the old container runs on until the new image is on the box.
    needsRecreate: () => false,
  };
}

function labelOf(spec: AppSpec): string {
  const { app: _app, state: _state, anchor: _anchor, ...made } = spec;
  return JSON.stringify(made);
}

function onlyStopped(from: AppSpec, to: AppSpec): boolean {
  return from.anchor === 'joined' && from.state === 'stopped' && labelOf(from) === labelOf(to);
}

/** Pure. A label that is not ours to read makes a spec that fits nothing, so that the container is made anew. */
export function observedApp(found: OwnContainer, inventory: Pick<Inventory, 'anchors'>): AppItem {
  const anchor = inventory.anchors.find((a) => a.app === found.app && a.state === 'running');
  const joined = anchor !== undefined && found.networkMode === `container:${anchor.id}`;
  const made = readLabel(found.labels[LABEL_SPEC]);
  const spec: AppSpec = {
    app: found.app,
    ...made,
    // restarting: the engine is at it, with its own backoff; pushing it would only hide why it fails.
    state: found.state === 'running' || found.state === 'restarting' ? 'running' : 'stopped',
    anchor: joined ? 'joined' : 'lost',
  };
  return appItem(spec, [anchorItemId(found.app), attachmentItemId(found.app), imageItemId(made.image)]);
}

function readLabel(label: string | undefined): z.output<typeof Made> {
  const decoded = Made.safeParse(tryJson(label ?? ''));
  return decoded.success
    ? decoded.data
    : {
        tenant: '',
        image: { reference: '' },
        environment: {},
        memoryBytes: 0,
        cpus: 0,
        pids: 0,
      };
}
