/**
 * Owns the LAN side of a box that is not enrolled: an address on each port, DHCP and names there, and the page that
 * tells the installer how far it is. Not wanted from the moment the box has an owner, so the plan takes it away. Pure.
 * Does not own which packets may come in by these ports (policy), nor the page (web/installer).
 */
import type { Facts } from '../model/facts.ts';
import { INSTALLER_PAGE_UNIT, installerDhcpUnit, planInstallerPorts } from '../model/installer.ts';
import { linkItem } from '../model/ids.ts';
import { address, link, portGate, service } from '../net/itemIds.ts';
import type { NetItem } from '../net/items.ts';

/** Ethernet's: whatever an installer plugs in. */
const PORT_MTU = 1500;

export function renderInstaller(facts: Facts): NetItem[] {
  const ports = planInstallerPorts(facts);
  if (ports.length === 0) return [];
  return [
    ...ports.flatMap((port): NetItem[] => {
      const own = address({ link: port.ifname, address: port.address }, [linkItem(port.ifname)]);
      return [
        link({ type: 'port', name: port.ifname, mtu: PORT_MTU }, [portGate(port.label)]),
        own,
        // It reads the address off the name of its unit and binds to it.
        service({ unit: installerDhcpUnit(port) }, [own.id]),
      ];
    }),
    service({ unit: INSTALLER_PAGE_UNIT }),
  ];
}
