/**
 * Owns what the box has of an SSH server, as facts: whether one is installed, and what its host key is known by.
 * Does not own making that key (firmware/ssh-host-key, at the first opening), nor when it is opened (policy/ssh.ts).
 */
import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import type { SshFact } from '../model/facts.ts';
import { sshKeyProblem } from '../model/sshKey.ts';
import type { Files } from '../system/ports.ts';

const SERVER = '/usr/sbin/sshd';
const MAX_PUBLIC_KEY_BYTES = 1024;

/** undefined where none is installed. `hostKeyPath`: of the public half. */
export async function readSshServer(
  files: Pick<Files, 'readText'>,
  hostKeyPath: string,
  server = SERVER,
): Promise<SshFact | undefined> {
  const isThere = await access(server).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const text = await files.readText(hostKeyPath, MAX_PUBLIC_KEY_BYTES);
  const hostKey = text === undefined ? undefined : fingerprintOf(text.trim());
  return hostKey === undefined ? {} : { hostKey };
}

/** As `ssh-keygen -l` and ssh(1) print it; undefined of what is no public key. Pure. */
export function fingerprintOf(line: string): string | undefined {
  const [, blob] = line.split(' ');
  if (sshKeyProblem(line) !== undefined || blob === undefined) return undefined;
  const digest = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}
