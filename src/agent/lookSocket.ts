/**
 * Owns the socket for those who may look at the box but not change it (the account that SSH lets in): all read-outs, no
 * actions, one request at a time. Open to that account's group alone, and absent on a machine that has no such group.
 */
import { BranchboxError } from '../model/errors.ts';
import { SSH_USER } from '../model/ssh.ts';
import type { Files } from '../system/ports.ts';
import { accountIdOf } from './accounts.ts';
import { type LocalApi, type ReadOut, serveLocalApi } from './localApi.ts';

const GROUPS = '/etc/group';
/** A session has four shells at most, and few look at one time. */
const MAX_CONNECTIONS = 8;

export async function serveLookSocket(
  {
    files,
    groups = GROUPS,
    ...api
  }: Pick<LocalApi, 'socket' | 'readOuts' | 'log'> & {
    readonly files: Pick<Files, 'readText'>;
    /** In the form of group(5). */
    readonly groups?: string;
  },
  signal: AbortSignal,
): Promise<void> {
  const group = accountIdOf((await files.readText(groups)) ?? '', SSH_USER);
  if (group === undefined) return;
  const readOuts = inTurn(api.readOuts);
  await serveLocalApi(
    { ...api, readOuts, mode: 0o660, group, maxConnections: MAX_CONNECTIONS, actions: {} },
    signal,
  );
}

/** A plan takes ten processes of the agent, which has room for 256, and for no more memory than it needs itself. */
function inTurn(readOuts: LocalApi['readOuts']): LocalApi['readOuts'] {
  let last: Promise<unknown> = Promise.resolve();
  const taken =
    (readOut: ReadOut): ReadOut =>
    (query, limit) => {
      const mine = last.then(() => {
        if (limit.aborted) throw late();
        return readOut(query, limit);
      });
      // What does not end in time must not hold up the next.
      const over = new Promise<void>((resolve) => limit.addEventListener('abort', () => resolve()));
      last = Promise.race([mine, over]).catch(() => {});
      return mine;
    };
  return Object.fromEntries(Object.entries(readOuts).map(([path, readOut]) => [path, taken(readOut)]));
}

const late = (): BranchboxError =>
  new BranchboxError('system/command-timeout', {
    message: 'the agent was busy with what others in SSH asked for, one after the other',
  });
