/**
 * Owns what the box says of itself to a server that asks: addresses of its ports, UUID, host name. None of it is proof.
 * Does not own asking (sztp.ts) nor what it is good for (controller/pending).
 */
import { BoxClaims } from '../model/assignment.ts';
import type { Files } from '../system/ports.ts';

const NET = '/sys/class/net';
const UUID = '/sys/class/dmi/id/product_uuid';
const HOSTNAME = '/proc/sys/kernel/hostname';
const MAX_BYTES = 256;
const MAX_ADDRESSES = 32;

/** What cannot be read, or is not of its form, is not said. */
export async function readClaims(files: Files): Promise<BoxClaims> {
  const read = async (path: string): Promise<string | undefined> =>
    (await files.readText(path, MAX_BYTES).catch(() => undefined))?.trim();
  const { shape } = BoxClaims;
  const addresses: string[] = [];
  for (const ifname of (await files.list(NET)).toSorted()) {
    const address = await read(`${NET}/${ifname}/address`);
    const isNone = address === '00:00:00:00:00:00';
    if (
      !isNone &&
      shape['mac-address'].unwrap().element.safeParse(address).success &&
      address !== undefined
    ) {
      addresses.push(address);
    }
  }
  const uuid = shape.uuid.safeParse((await read(UUID))?.toLowerCase());
  const hostname = shape.hostname.safeParse(await read(HOSTNAME));
  return {
    'mac-address': [...new Set(addresses)].slice(0, MAX_ADDRESSES),
    ...(uuid.data !== undefined && { uuid: uuid.data }),
    ...(hostname.data !== undefined && { hostname: hostname.data }),
  };
}
