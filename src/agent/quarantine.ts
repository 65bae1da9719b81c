/**
 * Owns what the agent knows of its owner's trust: the mark that the identity process keeps, and telling that process
 * that there is a reason to ask. Does not own the verdict (bootstrap/standing) nor what a mark stops (policy/quarantine).
 */
import { request } from 'node:http';
import { Quarantine } from '../model/bootstrap.ts';
import { decodeJson } from '../model/decode.ts';
import type { Files, Logger } from '../system/ports.ts';
import { type AgentPaths, quarantinePath } from './paths.ts';

const MAX_MARK_BYTES = 16 * 1024;
const ANSWER_TIMEOUT_MS = 2_000;
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

/**
 * For the identity process, that the controller ended a session or turned this box away. Never fails: a process that is
 * away asks by itself when it is back.
 */
export function createDoubts(parts: { readonly socketPath: string; readonly log: Logger }): { tell(): void } {
  const { socketPath, log } = parts;
  return {
    tell() {
      const asked = request({ socketPath, method: 'POST', path: '/doubt', timeout: ANSWER_TIMEOUT_MS });
      asked.on('response', (response) => response.resume());
      asked.on('timeout', () => asked.destroy());
      asked.on('error', (error) => log.debug('the identity process was not told', { error }));
      asked.end();
    },
  };
}
