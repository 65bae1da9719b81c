/**
 * Owns reading /sys/class/net: which interfaces there are, where in the machine, with a carrier or not.
 * Files alone, no process: it is read at every run.
 */
import { readlink, realpath } from 'node:fs/promises';
import type { Files } from '../system/ports.ts';
import type { FoundInterface } from './hardware.ts';

const SYS_NET = '/sys/class/net';
/** ARPHRD_ETHER of linux/if_arp.h. */
const ETHERNET = '1';
/** Modems that look like Ethernet and are not: ModemManager dials, and gives their address. */
const MODEM_DRIVERS: ReadonlySet<string> = new Set(['qmi_wwan', 'cdc_mbim']);

/**
 * Those that may be ports: with a device, or in `named`. A box has two interfaces a segment that are neither, and of
 * each no more is looked at than whether it has a device.
 */
export async function readInterfaces(
  files: Files,
  named: ReadonlySet<string>,
  directory = SYS_NET,
): Promise<readonly FoundInterface[]> {
  const names = await files.list(directory);
  const found = await Promise.all(
    names
      .filter((name) => name !== 'lo')
      .map(async (ifname) => {
        const device = await realpath(`${directory}/${ifname}/device`).catch(() => undefined);
        if (device === undefined && !named.has(ifname)) return [];
        return [await readInterface(files, directory, ifname, device)];
      }),
  );
  return found.flat();
}

async function readInterface(
  files: Files,
  directory: string,
  ifname: string,
  device: string | undefined,
): Promise<FoundInterface> {
  const at = `${directory}/${ifname}`;
  // Gone meanwhile, or (carrier) EINVAL where the link is down.
  const read = (name: string): Promise<string | undefined> =>
    files.readText(`${at}/${name}`, 4096).catch(() => undefined);
  const [macAddress, carrier, type, devPort] = await Promise.all(
    ['address', 'carrier', 'type', 'dev_port'].map(read),
  );
  const isModem = device !== undefined && MODEM_DRIVERS.has(await driverOf(at));
  return {
    ifname,
    device,
    isWired: device !== undefined && type?.trim() === ETHERNET && !isModem && !(await isRadio(at)),
    isModem,
    devPort: Number(devPort ?? 0),
    macAddress: macAddress?.trim(),
    carrier: carrier?.trim() === '1',
  };
}

const isRadio = (at: string): Promise<boolean> =>
  readlink(`${at}/phy80211`).then(
    () => true,
    () => false,
  );

const driverOf = async (at: string): Promise<string> =>
  (await readlink(`${at}/device/driver`).catch(() => '')).split('/').at(-1) ?? '';
