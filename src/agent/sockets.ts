/**
 * Owns which sockets this agent has: its own, the one for who may look alone, and the installer's page's. Does not own what
 * is read or done over them (readOuts.ts, installerSocket.ts).
 */
import type { BootstrapNetwork } from '../model/medium.ts';
import type { Files, Logger } from '../system/ports.ts';
import { type InstallerSocket, serveInstallerSocket } from './installerSocket.ts';
import { serveLocalApi } from './localApi.ts';
import { serveLookSocket } from './lookSocket.ts';
import type { AgentPaths } from './paths.ts';
import { localApiOf } from './readOuts.ts';
import type { UplinkTests } from './uplinkTests.ts';

/** Until the signal aborts. Resolves with what closes the installer's before. */
export async function serveSockets(
  parts: Parameters<typeof localApiOf>[0] & {
    readonly paths: AgentPaths;
    readonly uplinkTests: UplinkTests;
    readonly network: () => BootstrapNetwork | undefined;
    /** undefined before the box has an owner. */
    readonly gatewayId: () => string | undefined;
    readonly files: Files;
    readonly log: Logger;
  },
  signal: AbortSignal,
): Promise<InstallerSocket> {
  const { paths, facts, network, uplinkTests, gatewayId, files, log } = parts;
  const api = localApiOf(parts);
  await serveLocalApi({ socket: paths.socket, log, ...api }, signal);
  await serveLookSocket({ socket: paths.lookSocket, readOuts: api.readOuts, files, log }, signal);
  return serveInstallerSocket(
    { socket: paths.installerSocket, facts, network, uplinkTests, gatewayId, log },
    signal,
  );
}
