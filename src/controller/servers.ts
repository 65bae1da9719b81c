/**
 * Owns the controller's HTTPS servers for boxes (SZTP, EST, device API) as a group: their TLS, which client issuers each names,
 * listening, new certificates without a restart, and their end. Does not own what any of them answers.
 */
import type { IncomingMessage } from 'node:http';
import type { Server, ServerOptions } from 'node:https';
import type { Certificate } from '../pki/certificate.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { type Answer, createExchangeServer, type Handler, tlsOptions } from './exchange.ts';
import { createHandshakeGate } from './handshakeGate.ts';
import type { ServiceCredentials } from './serviceCredentials.ts';

interface Part {
  readonly handle: Handler;
  readonly failed: (thrown: unknown, request: IncomingMessage) => Answer;
  readonly refusal: (status: number, why: string) => Answer;
}

export interface Servers {
  listen(): Promise<void>;
  /** Also where `domains` changed. */
  renew(credentials: ServiceCredentials): void;
  close(): void;
}

interface Ports {
  readonly address: string;
  readonly sztpPort: number;
  readonly estPort: number;
  readonly devicePort: number;
}

/**
 * 32 handshakes at once are some 50 ms of two cores. The line is for 5 s of them, half of what a box waits for a
 * connection; whoever is sent away from its end hears nothing but a closed connection, and waits by itself.
 */
export const HANDSHAKES = { together: 32, waiting: 1_024, patienceMs: 5_000, turnMs: 500 } as const;

export function createServers(options: {
  readonly credentials: ServiceCredentials;
  /** Whose LDevIDs count. */
  readonly domains: () => readonly Certificate[];
  readonly manufacturers: readonly Certificate[];
  readonly listen: Ports;
  readonly sztp: Part;
  readonly est: Part;
  readonly device: Part;
  readonly clock: Clock;
  readonly log: Logger;
}): Servers {
  const { log, listen } = options;
  const tls = (credentials: ServiceCredentials) => ({
    // RESTCONF is defined over TLS 1.2 (RFC 8040 2.1), and who asks here may be anybody's client. Only signed content of
    // this session is believed, and what is told over it later is told by boxes that speak 1.3.
    sztp: tlsOptions({
      credential: credentials.server,
      clientIssuers: options.manufacturers,
      minVersion: 'TLSv1.2',
    }),
    // Several EST clients have no TLS 1.3.
    est: tlsOptions({
      credential: credentials.server,
      clientIssuers: [...options.manufacturers, ...options.domains()],
      minVersion: 'TLSv1.2',
    }),
    device: tlsOptions({
      credential: credentials.server,
      clientIssuers: options.domains(),
      minVersion: 'TLSv1.3',
    }),
  });
  const gate = createHandshakeGate({ clock: options.clock, ...HANDSHAKES });
  const first = tls(options.credentials);
  const sztp = createExchangeServer({ tls: first.sztp, ...options.sztp, gate, log });
  const est = createExchangeServer({ tls: first.est, ...options.est, gate, log });
  const device = createExchangeServer({ tls: first.device, ...options.device, gate, log });
  return {
    async listen() {
      await listenAt(sztp, listen.address, listen.sztpPort);
      await listenAt(est, listen.address, listen.estPort);
      await listenAt(device, listen.address, listen.devicePort);
    },
    renew(credentials) {
      const next = tls(credentials);
      sztp.setSecureContext(next.sztp);
      est.setSecureContext(next.est);
      device.setSecureContext(next.device);
    },
    close() {
      for (const server of [sztp, est, device]) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

/** The REST API's: its clients have a bearer token and no certificate. */
export function apiTls({ server }: ServiceCredentials): ServerOptions {
  return { key: server.key.reveal(), cert: server.certificatePem, minVersion: 'TLSv1.3' };
}

function listenAt(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
