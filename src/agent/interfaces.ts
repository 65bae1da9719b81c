/**
 * Owns reading /sys/class/net: which interfaces there are, where in the machine, with a carrier or not.
 * Files alone, no process: it is read at every run.
 */
import { readlink } from 'node:fs/promises';
import type { Files } from '../system/ports.ts';
import type { FoundInterface } from './hardware.ts';

const SYS_NET = '/sys/class/net';

export async function readInterfaces(files: Files): Promise<readonly FoundInterface[]> {
  const names = await files.list(SYS_NET);
  return Promise.all(names.filter((name) => name !== 'lo').map((name) => readInterface(files, name)));
}

async function readInterface(files: Files, ifname: string): Promise<FoundInterface> {
  const at = `${SYS_NET}/${ifname}`;
  // Gone meanwhile, or (carrier) EINVAL where the link is down.
  const read = (name: string): Promise<string | undefined> =>
    files.readText(`${at}/${name}`, 4096).catch(() => undefined);
  const [macAddress, carrier, device] = await Promise.all([
    read('address'),
    read('carrier'),
    readlink(`${at}/device`).catch(() => undefined),
  ]);
  return {
    ifname,
    path: device === undefined ? undefined : devicePath(device),
    macAddress: macAddress?.trim(),
    carrier: carrier?.trim() === '1',
  };
}

/** `../../../0000:03:00.0` → `0000:03:00.0`; of USB the last part is the interface `1-3:1.0` at its port. Pure. */
export function devicePath(link: string): string {
  return link.split('/').at(-1) ?? link;
}
