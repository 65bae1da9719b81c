/**
 * Owns the file by which the SSH server knows whom to let in: authorized_keys in /run, written by nobody else, gone with
 * a boot. Does not own the server, which is a unit that the plan starts and stops, nor its settings.
 */
import { SSH_UNIT, type SshAccess } from '../model/ssh.ts';
import type { Files, Services } from '../system/ports.ts';

/** sshd reads it as who logs in. */
const MODE = 0o644;

/**
 * Each key for these sources alone, should the firewall ever let another one through. `restrict` is whatever an OpenSSH
 * of tomorrow adds to what a session may do, switched off; a terminal is all that is given back (sshd(8)). Pure.
 */
export function renderAuthorizedKeys({ keys, from }: SshAccess): string {
  return keys.map((key) => `restrict,pty,from="${from.join(',')}" ${key}\n`).join('');
}

/**
 * Writes or removes what differs. A server that read other words is stopped before, and its sessions with it: who is named
 * no longer is out. Then it is started again as whatever is wanted and does not run.
 */
export async function holdAuthorizedKeys(
  {
    files,
    services,
  }: {
    readonly files: Pick<Files, 'readText' | 'writeDurable' | 'remove'>;
    readonly services: Pick<Services, 'stop'>;
  },
  path: string,
  ssh: SshAccess | undefined,
): Promise<void> {
  const there = await files.readText(path);
  const text = ssh === undefined ? undefined : renderAuthorizedKeys(ssh);
  if (there === text) return;
  if (there !== undefined) await services.stop([SSH_UNIT]);
  if (text === undefined) await files.remove(path);
  else await files.writeDurable(path, text, MODE);
}
