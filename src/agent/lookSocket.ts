/**
 * Owns the socket for who looks at the box without a right to change it (the account that SSH lets in): all read-outs,
 * nothing that may be asked for. Open to that account's group alone; not there on a machine that has no such group.
 */
import { SSH_USER } from '../model/ssh.ts';
import type { Files } from '../system/ports.ts';
import { type LocalApi, serveLocalApi } from './localApi.ts';

const GROUPS = '/etc/group';

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
  await serveLocalApi({ ...api, mode: 0o660, group, actions: {} }, signal);
}

/** Of a user in passwd(5), of a group in group(5): the third field in both. Pure. */
export function accountIdOf(accounts: string, name: string): number | undefined {
  const fields = accounts.split('\n').map((line) => line.split(':'));
  const id = fields.find(([known]) => known === name)?.[2];
  return id !== undefined && /^\d{1,9}$/.test(id) ? Number(id) : undefined;
}
