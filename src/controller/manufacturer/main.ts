/**
 * Owns putting the manufacturer's process together on the real machine. Does not own what it does.
 */
import { createLinuxSystem } from '../../system/linux/system.ts';
import { type IdentityMade, makeIdentity } from './identity.ts';
import { initManufacturer } from './keys.ts';
import { serveManufacturer } from './server.ts';

export async function runInit(options: {
  readonly directory: string;
  readonly dnsName: string;
  readonly addresses: readonly string[];
}): Promise<void> {
  await initManufacturer({ ...createLinuxSystem({ name: 'manufacturer' }), ...options });
}

export async function runServe(options: {
  readonly directory: string;
  readonly host: string;
  readonly port: number;
}): Promise<void> {
  const { files, clock, log } = createLinuxSystem({ name: 'manufacturer' });
  const ending = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => ending.abort());
  await serveManufacturer({ files, clock, log, signal: ending.signal, ...options });
}

export async function runIdentity(options: {
  readonly directory: string;
  readonly serial: string;
  readonly model: string;
  readonly out: string;
}): Promise<IdentityMade> {
  return makeIdentity({ ...createLinuxSystem({ name: 'manufacturer' }), ...options });
}
