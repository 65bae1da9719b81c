/**
 * Owns asking a node's processes over their unix sockets from the host. Of a node in namespaces the files are in sight
 * below /proc/PID/root, and a socket works from there, so a question costs no process; into a machine a stream leads.
 */
import { tryJson } from '../model/decode.ts';
import { askSocket } from '../system/askSocket.ts';

const ANSWER_TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** The JSON of `GET path`; undefined where nobody answers or the answer is none. */
export async function askNode(
  where: Parameters<typeof askSocket>[0],
  path: string,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<unknown> {
  const answer = await askSocket(where, { path, timeoutMs, maxAnswerBytes: MAX_ANSWER_BYTES }).catch(
    () => undefined,
  );
  return answer?.status === 200 ? tryJson(answer.text) : undefined;
}
