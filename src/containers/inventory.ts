/**
 * Owns reading what containers of ours the engine holds, as one list for all drivers that ask at once.
 * An engine that does not answer shows nothing: what hangs on it is then blocked by its gate, and so left alone.
 * Does not own what a container is to be.
 */
import { BranchboxError } from '../model/errors.ts';
import { shareRead } from '../net/dump.ts';
import type { Engine, EngineContainer } from './engine.ts';
import { type ContainerRole, LABEL_APP, LABEL_ROLE } from './items.ts';

export interface OwnContainer extends EngineContainer {
  readonly app: string;
}
export interface Inventory {
  /** Whether the engine answered; if not, an empty list means nothing. */
  readonly answered: boolean;
  readonly anchors: readonly OwnContainer[];
  readonly apps: readonly OwnContainer[];
}
export type ReadInventory = (signal: AbortSignal) => Promise<Inventory>;

export function createInventory(engine: Engine): ReadInventory {
  return shareRead(
    (signal): Promise<Inventory> =>
      orNothing<Inventory>({ answered: false, anchors: [], apps: [] }, async () => {
        const containers = await engine.listContainers(LABEL_APP, signal);
        return { answered: true, anchors: ofRole(containers, 'anchor'), apps: ofRole(containers, 'app') };
      }),
  );
}

export async function orNothing<T>(nothing: T, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    if (thrown instanceof BranchboxError && thrown.code === 'engine/unreachable') return nothing;
    throw thrown;
  }
}

function ofRole(containers: readonly EngineContainer[], role: ContainerRole): OwnContainer[] {
  return containers
    .filter((found) => found.labels[LABEL_ROLE] === role)
    .map((found) => ({ ...found, app: found.labels[LABEL_APP] ?? '' }));
}
