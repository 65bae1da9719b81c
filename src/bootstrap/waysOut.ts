/**
 * Owns putting together how the identity process reaches a network: uplinks and cables, connecting over one of them, and what the
 * network says of itself (a portal, servers that its DNS lists). Does not own any of these parts, nor whom the box asks.
 */
import type { System } from '../system/ports.ts';
import { findService } from '../system/serviceDiscovery.ts';
import type { TpmUse } from '../system/tpmUse.ts';
import { createUplinkDialer } from '../system/uplinkDial.ts';
import { type Cables, createCables } from './cables.ts';
import { probePortal } from './captivePortal.ts';
import { connectByUplink } from './connect.ts';
import type { StateContext } from './context.ts';
import { createDeadLeases } from './deadLeases.ts';
import { SZTP_SERVICE } from './discover.ts';
import type { Connect } from './https.ts';
import type { MediumDesk } from './medium.ts';
import { askPortalApi } from './portalApi.ts';
import { createUplinks, type Uplinks } from './uplink.ts';

export interface WaysOutOptions {
  readonly leaseDirectory?: string;
  readonly leadsNowhereDirectory?: string;
  /** For tests: another way out of the box. */
  readonly connect?: Connect;
  readonly uplinks?: Uplinks;
  readonly cables?: Cables;
  readonly findService?: typeof findService;
}

type WaysOut = Pick<StateContext, 'uplinks' | 'cables' | 'deadLeases' | 'probePortal' | 'listedServers'> & {
  readonly connect: Connect;
};

export function createWaysOut(
  options: WaysOutOptions,
  box: {
    readonly system: Pick<System, 'files' | 'clock' | 'log'>;
    readonly tpm: TpmUse;
    /** Where the agent tells which ports there are. */
    readonly portsSocket: string;
    readonly proxy: MediumDesk['proxy'];
    /** Whether the box is on its way to its owner. */
    readonly isUnderWay: () => boolean;
  },
): WaysOut {
  const { system, proxy } = box;
  const { files, clock, log } = system;
  const dialer = createUplinkDialer({ leases: () => [], proxy, log });
  const deadLeases = createDeadLeases({
    files,
    isUnderWay: box.isUnderWay,
    monotonicMs: () => clock.monotonicMs(),
    log,
    leaseDirectory: options.leaseDirectory,
    directory: options.leadsNowhereDirectory,
  });
  return {
    uplinks: options.uplinks ?? createUplinks(files, options.leaseDirectory),
    cables: options.cables ?? createCables(files, box.portsSocket),
    deadLeases,
    connect: deadLeases.telling(options.connect ?? connectByUplink(dialer, box.tpm)),
    // Through a proxy there is nobody in between that a box could see.
    probePortal: async (server, uplink, limit) =>
      proxy() === undefined && options.connect === undefined
        ? ((await askPortalApi(dialer, uplink, limit)) ??
          (server === undefined ? undefined : probePortal(dialer, server, uplink, limit)))
        : undefined,
    // Through a proxy it is the proxy that asks for names.
    listedServers: async (uplink) => {
      if (uplink.domain === undefined || proxy() !== undefined) return [];
      return (options.findService ?? findService)(SZTP_SERVICE, uplink.domain, uplink);
    },
  };
}
