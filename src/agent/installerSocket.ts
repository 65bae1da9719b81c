/**
 * Owns the socket that the installer's page asks: the box's ports and the last uplink test, and nothing else. A socket
 * of its own, open to everybody, so that the page needs no right to the agent's; it goes where the page goes.
 */
import type { Facts } from '../model/facts.ts';
import { installerPortsOf } from '../model/installer.ts';
import type { BootstrapNetwork } from '../model/medium.ts';
import type { Logger } from '../system/ports.ts';
import { planFactoryUplinks } from '../wan/factory.ts';
import { serveLocalApi } from './localApi.ts';
import type { UplinkTests } from './uplinkTests.ts';

export interface InstallerSocket {
  /** Does nothing before the box has an owner. */
  closeOnceOwned(): void;
}

export async function serveInstallerSocket(
  parts: {
    readonly socket: string;
    readonly facts: () => Facts;
    readonly network: () => BootstrapNetwork | undefined;
    readonly uplinkTests: Pick<UplinkTests, 'forInstaller'>;
    /** undefined before the box has an owner. */
    readonly gatewayId: () => string | undefined;
    readonly log: Logger;
  },
  signal: AbortSignal,
): Promise<InstallerSocket> {
  const owned = new AbortController();
  await serveLocalApi(
    {
      socket: parts.socket,
      mode: 0o666,
      log: parts.log,
      readOuts: {
        '/ports': () => {
          const uplinkTest = parts.uplinkTests.forInstaller();
          const facts = parts.facts();
          const ports = installerPortsOf(facts, planFactoryUplinks(facts, parts.network()));
          return Promise.resolve(uplinkTest === undefined ? ports : { ...ports, uplinkTest });
        },
      },
      actions: {},
    },
    AbortSignal.any([signal, owned.signal]),
  );
  const closeOnceOwned = (): void => {
    if (parts.gatewayId() !== undefined) owned.abort();
  };
  closeOnceOwned();
  return { closeOnceOwned };
}
