/**
 * Owns the records of who owns this box: pending (voucher good, not yet proved by a strict connection) and final.
 * Does not own when a record moves from one to the other (service.ts).
 */
import { basename } from 'node:path';
import { decodeJson } from '../model/decode.ts';
import { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Files } from '../system/ports.ts';
import { type BootstrapPaths, domainAnchorPath, ownerPath, pendingOwnerPath } from './paths.ts';

const MAX_OWNER_BYTES = 128 * 1024;

export interface OwnerStore {
  /** The final record, else the pending one, else undefined; a file that cannot be read counts as missing. */
  read(): Promise<Owner | undefined>;
  isFinal(): Promise<boolean>;
  /** Whether the box ever had a final owner, also where the record of it cannot be read any more. */
  wasOwned(): Promise<boolean>;
  writePending(owner: Owner): Promise<void>;
  /** Anchor first, owner.json last: its appearance starts the agent. */
  writeFinal(owner: Owner): Promise<void>;
  /** What is left of the pending record where the power went between the final one and its removal. */
  dropPending(): Promise<void>;
}

export function createOwnerStore(files: Files, paths: BootstrapPaths): OwnerStore {
  async function readFrom(path: string): Promise<Owner | undefined> {
    try {
      const text = await files.readText(path, MAX_OWNER_BYTES);
      return text === undefined ? undefined : decodeJson(Owner, text, path);
    } catch (thrown) {
      if (thrown instanceof BranchboxError) return undefined;
      throw thrown;
    }
  }
  const render = (owner: Owner): string => `${JSON.stringify(owner, null, 1)}\n`;
  return {
    read: async () => (await readFrom(ownerPath(paths))) ?? (await readFrom(pendingOwnerPath(paths))),
    isFinal: async () => (await readFrom(ownerPath(paths))) !== undefined,
    async wasOwned() {
      const names = await files.list(paths.state);
      return [ownerPath(paths), domainAnchorPath(paths)].some((path) => names.includes(basename(path)));
    },
    writePending: (owner) => files.writeDurable(pendingOwnerPath(paths), render(owner)),
    async writeFinal(owner) {
      await files.writeDurable(domainAnchorPath(paths), owner.domainAnchorPem, 0o644);
      await files.writeDurable(ownerPath(paths), render(owner), 0o644);
      await files.remove(pendingOwnerPath(paths));
    },
    dropPending: () => files.remove(pendingOwnerPath(paths)),
  };
}
