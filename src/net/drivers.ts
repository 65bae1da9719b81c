/**
 * Owns the map of all network drivers, and the dumps that several of them share.
 */
import type { Drivers } from '../reconcile/driver.ts';
import type { System } from '../system/ports.ts';
import { createAddressDriver } from './address.ts';
import { shareRead } from './dump.ts';
import { createExternalDriver } from './externalGate.ts';
import { createFdbDriver } from './fdb.ts';
import { createFrrDriver } from './frr.ts';
import type { ExternalItem, NetItem } from './items.ts';
import { createIpShow } from './ipShow.ts';
import { createLinkDriver } from './link.ts';
import { createLinkReader } from './linkRead.ts';
import { createNftChainDriver } from './nftChain.ts';
import { readNft } from './nftDump.ts';
import { createNftElementDriver } from './nftElement.ts';
import { createNftSetDriver } from './nftSet.ts';
import { createRouteDriver } from './route.ts';
import { createRuleDriver } from './rule.ts';
import { createServiceDriver } from './service.ts';
import { createSysctlDriver } from './sysctl.ts';
import { createWireGuardDriver } from './wireguard.ts';

export interface NetDriverOptions {
  /** Gates beyond those the drivers see for themselves: `() => presentGates(facts)`. */
  readonly gates?: () => readonly ExternalItem[];
}

export function createNetDrivers(system: System, options: NetDriverOptions = {}): Drivers<NetItem> {
  const { runner, files, clock, services, log } = system;
  const ip = createIpShow(runner);
  const linkReader = createLinkReader(ip);
  const links = linkReader.all;
  const nft = shareRead((signal) => readNft(runner, signal));
  return {
    link: createLinkDriver({ runner, files, clock, services, links: linkReader }),
    address: createAddressDriver({ runner, links: linkReader }),
    route: createRouteDriver({ runner, ip }),
    rule: createRuleDriver({ runner, ip }),
    sysctl: createSysctlDriver({ files }),
    'nft-chain': createNftChainDriver({ runner, files, nft }),
    'nft-set': createNftSetDriver({ runner, nft }),
    'nft-element': createNftElementDriver({ runner, nft }),
    wireguard: createWireGuardDriver({ runner, files, log, links }),
    fdb: createFdbDriver({ runner, links }),
    frr: createFrrDriver(system),
    service: createServiceDriver({ services }),
    external: createExternalDriver({
      links,
      ...(options.gates === undefined ? {} : { others: options.gates }),
    }),
  };
}
