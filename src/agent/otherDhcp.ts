/**
 * Owns having another DHCP server asked where the identity process found that a lease leads nowhere: it may not start
 * units, the agent may. Does not own finding that out (bootstrap/deadLeases), nor leaving the server (firmware/other-dhcp).
 */
import { InterfaceName } from '../model/ids.ts';
import { LEADS_NOWHERE_DIRECTORY } from '../system/leases.ts';
import type { Files, Logger, Services } from '../system/ports.ts';

export const otherDhcpUnit = (ifname: string): string => `branchbox-other-dhcp@${ifname}.service`;

/** Until the signal aborts. */
export function followDeadLeases(
  parts: {
    readonly files: Pick<Files, 'list' | 'watch'>;
    readonly services: Pick<Services, 'start'>;
    readonly log: Logger;
    readonly directory?: string;
  },
  signal: AbortSignal,
): void {
  const { files, services, log, directory = LEADS_NOWHERE_DIRECTORY } = parts;
  const look = async (): Promise<void> => {
    try {
      // What is half written has a name that is none of an interface.
      const named = (await files.list(directory)).filter((name) => InterfaceName.safeParse(name).success);
      // A running one is left alone, and takes the file away.
      if (named.length > 0) await services.start(named.map(otherDhcpUnit));
    } catch (error) {
      log.warn('no other DHCP server can be asked', { error });
    }
  };
  files.watch(directory, () => void look(), signal);
  // Those of before this process.
  void look();
}
