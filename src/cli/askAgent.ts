/**
 * Owns asking this box's agent over its socket. Does not own what is printed.
 */
import type { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { ErrorReadout } from '../model/errorReadout.ts';
import { BranchboxError, isErrorCode } from '../model/errors.ts';
import { askSocket } from '../system/askSocket.ts';

const SOCKET = '/run/branchbox/agent.sock';
/** Who is not root may look, where that socket lets him. */
const LOOK_SOCKET = '/run/branchbox/look/agent.sock';
const ANSWER_TIMEOUT_MS = 20_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** With a body it asks for something to be done (POST), else for a read-out. */
export async function askAgent<S extends z.ZodType>(
  path: string,
  schema: S,
  {
    body,
    socketPath = process.getuid?.() === 0 ? SOCKET : LOOK_SOCKET,
  }: { readonly body?: unknown; readonly socketPath?: string } = {},
): Promise<z.output<S>> {
  const { status, text } = await askSocket(
    { socketPath },
    {
      path,
      body: body === undefined ? undefined : JSON.stringify(body),
      timeoutMs: ANSWER_TIMEOUT_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    },
  ).catch(away);
  const what = `the agent's answer to ${path}`;
  if (status === 200) return decodeJson(schema, text, what, MAX_ANSWER_BYTES);
  const { error } = decodeJson(ErrorReadout, text, what);
  const { code, message, mend, problems } = error;
  throw new BranchboxError(isErrorCode(code) ? code : 'internal', {
    message,
    problems,
    ...(mend === undefined ? {} : { mend }),
  });
}

function away(cause: unknown): never {
  throw new BranchboxError('system/file', {
    message: 'the agent of this box does not answer',
    mend: 'See `systemctl status branchbox-agent`; on your own machine: `branchbox lab exec NODE -- branchbox …`.',
    cause,
  });
}
