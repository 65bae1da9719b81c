/**
 * Owns the servers that boxes and foreign clients speak to, on real connections over an empty fleet: EST, SZTP, the device
 * API. Whoever would have to be asked throws. Does not own speaking to them (wire.ts).
 */
import { once } from 'node:events';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import { createDeviceHandler, deviceRefusal } from '../../../src/controller/deviceApi.ts';
import { plain } from '../../../src/controller/est/answers.ts';
import { createEstHandler } from '../../../src/controller/est/estServer.ts';
import { createExchangeServer, type Handler } from '../../../src/controller/exchange.ts';
import { createHandshakeGate } from '../../../src/controller/handshakeGate.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { bootstrapRefusal } from '../../../src/controller/sztp/answers.ts';
import { createBootstrapHandler } from '../../../src/controller/sztp/bootstrapServer.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { makeCa } from '../pki/domain.ts';
import { createControllerParts } from './controllerParts.ts';
import { makeServerCredential } from './wire.ts';

const { tls } = makeServerCredential();
/** What the device API has been given for the lists of what was revoked. */
export const LISTS = '-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n';
const log = createLogger({ name: 'test', write: () => undefined });
const clock = { nowMs: () => 1_000, monotonicMs: () => 0, sleep: async () => undefined };
const anchors = { manufacturers: [], domain: makeCa('Domain').certificate, previous: [] };
const notAsked = async (): Promise<never> => {
  throw new Error('nobody is asked before the request is one');
};

/** `close` ends those that were made so far. */
export function createExchangeServers() {
  const servers: Server[] = [];
  function close(): void {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  }

  async function listen(
    handle: Handler,
    refusal: typeof plain | typeof bootstrapRefusal | typeof deviceRefusal,
  ): Promise<number> {
    const server = createExchangeServer({
      tls,
      handle,
      refusal,
      failed: () => ({ status: 500 }),
      gate: createHandshakeGate({ clock, together: 8, waiting: 8, patienceMs: 5_000, turnMs: 500 }),
      log,
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  const parts = () => {
    const store = openSqliteStore(':memory:');
    const { admissions, pending } = createControllerParts({ store, clock, log });
    const signer = {
      ldevid: notAsked,
      serverCertificate: notAsked,
      clientCertificate: notAsked,
      desired: notAsked,
      order: notAsked,
      conveyed: notAsked,
      revocationList: notAsked,
      anchors: notAsked,
      drop: notAsked,
      revoke: notAsked,
      revokedForGood: notAsked,
    };
    return { store, admissions, pending, signer, anchors, clock, log };
  };
  const est = () => listen(createEstHandler({ ...parts(), offered: [], onEnrolled: () => undefined }), plain);
  const sztp = () => {
    const ownerOf = (): never => expect.unreachable();
    const manufacturer = { requestVoucher: notAsked, release: notAsked, ping: notAsked };
    return listen(createBootstrapHandler({ ...parts(), manufacturer, ownerOf }), bootstrapRefusal);
  };
  const device = () => {
    const unread = (): never => expect.unreachable();
    const kept = { take: notAsked, open: unread, remove: notAsked };
    const offered = { ...kept, register: notAsked, takePart: notAsked, list: notAsked, offered: notAsked };
    const further = {
      bundles: kept,
      firmware: offered,
      fleet: { read: notAsked },
      uplinkTest: { handle: notAsked },
      moved: { handle: notAsked },
      revocationLists: () => LISTS,
    };
    return listen(createDeviceHandler({ ...parts(), ...further }), deviceRefusal);
  };
  return { est, sztp, device, close };
}

export const ENROL = '/.well-known/est/simpleenroll';
/** A request's line and fields, after which its connection is done. */
export const head = (line: string, ...fields: readonly string[]): string =>
  [`${line} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...fields, '', ''].join('\r\n');
