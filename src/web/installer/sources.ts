/**
 * Owns asking the box's processes over the sockets that are there for the page: how far the identity process is, which
 * ports the agent sees; and handing a code over.
 * Does not own what is shown of it.
 */
import { BootstrapStatus } from '../../model/bootstrap.ts';
import { decodeJson } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import { type ActivationOffer, InstallerPorts } from '../../model/installer.ts';
import { askSocket, type SocketAnswer } from '../../system/askSocket.ts';
import type { Progress } from './page.ts';
import type { Offered } from './server.ts';

const ANSWER_TIMEOUT_MS = 3_000;
const MAX_ANSWER_BYTES = 1024 * 1024;
/** However many ask for the page, the processes are asked once in this time. */
const FRESH_MS = 500;

export interface Sources {
  look(): Promise<{
    readonly progress: Progress | undefined;
    readonly ports: InstallerPorts['ports'] | undefined;
    readonly uplinkTest: InstallerPorts['uplinkTest'];
  }>;
  offer(offer: ActivationOffer): Promise<Offered>;
}

export function createSources(options: {
  readonly directory: string;
  readonly monotonicMs: () => number;
}): Sources {
  const identity = `${options.directory}/identity.sock`;
  const agent = `${options.directory}/agent.sock`;
  let last: { readonly atMs: number; readonly seen: ReturnType<Sources['look']> } | undefined;
  const look = async (): ReturnType<Sources['look']> => {
    const [progress, agentAnswer] = await Promise.all([
      ask(identity, '/bootstrap')
        .then(({ text }) => decodeJson(BootstrapStatus, text, 'The answer of the identity process'))
        .catch(() => undefined),
      ask(agent, '/ports')
        .then(({ text }) => decodeJson(InstallerPorts, text, 'The answer of the agent'))
        .catch(() => undefined),
    ]);
    return { progress, ports: agentAnswer?.ports, uplinkTest: agentAnswer?.uplinkTest };
  };
  return {
    look() {
      const nowMs = options.monotonicMs();
      if (last === undefined || nowMs - last.atMs >= FRESH_MS) last = { atMs: nowMs, seen: look() };
      return last.seen;
    },
    async offer(offer) {
      const { status } = await ask(identity, '/activation', JSON.stringify(offer));
      last = undefined;
      if (status === 200) return 'held';
      if (status === 409) return 'busy';
      throw new BranchboxError('internal', { message: `the identity process answered ${status}` });
    },
  };
}

const ask = (socketPath: string, path: string, body?: string): Promise<SocketAnswer> =>
  askSocket(
    { socketPath },
    { path, body, timeoutMs: ANSWER_TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES },
  ).catch((cause: unknown) => {
    throw new BranchboxError('system/file', { message: `${socketPath} does not answer`, cause });
  });
