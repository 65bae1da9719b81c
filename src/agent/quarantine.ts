/**
 * Owns whether the owner of this box still trusts it, as far as the agent knows: the mark that the identity process keeps on
 * disk. Does not own the verdict (bootstrap/standing) nor what a mark stops (policy/quarantine).
 */
import { Quarantine } from '../model/bootstrap.ts';
import { decodeJson } from '../model/decode.ts';
import type { Files } from '../system/ports.ts';
import { type AgentPaths, quarantinePath } from './paths.ts';

const MAX_MARK_BYTES = 16 * 1024;
const UNREADABLE: Quarantine = { schema: 1, sinceMs: 0, why: 'its mark on disk cannot be read' };

/** undefined while the owner trusts this box. A mark that cannot be read is one: it was meant once. */
export async function readQuarantine(
  files: Pick<Files, 'readText'>,
  paths: AgentPaths,
): Promise<Quarantine | undefined> {
  const path = quarantinePath(paths);
  try {
    const text = await files.readText(path, MAX_MARK_BYTES);
    return text === undefined ? undefined : decodeJson(Quarantine, text, path);
  } catch {
    return UNREADABLE;
  }
}
