/**
 * Owns the manufacturer's port: HTTPS under mutual TLS, its own certificate renewed while it runs, its customers told apart by
 * theirs. Does not own who gets a voucher (vouchers.ts).
 */
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type SecureContextOptions, TLSSocket } from 'node:tls';
import { decode } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import type { Credential } from '../../pki/issue.ts';
import { exportPrivateKey } from '../../pki/keys.ts';
import { VOUCHER_MEDIA_TYPE } from '../../pki/voucher.ts';
import type { Clock, Files, Logger } from '../../system/ports.ts';
import { createRouteListener, json, type Route, SERVER_LIMITS } from '../keyholder/routes.ts';
import { createDevices } from './devices.ts';
import { openManufacturerKeys, renewedTls } from './keys.ts';
import { ReleaseRequest, VoucherRequest } from './messages.ts';
import { createVoucherDesk, type VoucherDesk } from './vouchers.ts';

const MAX_BODY_BYTES = 64 * 1024;
/** A handshake that takes longer is a peer that holds a socket open for nothing. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** How often this process, which may run for years, looks whether its certificate is due. */
const TLS_LOOK_MS = 86_400_000;

/** Listens until the signal aborts; resolves once the port is closed. */
export async function serveManufacturer(options: {
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Logger;
  readonly directory: string;
  readonly host: string;
  readonly port: number;
  readonly signal: AbortSignal;
  readonly onListening?: (port: number) => void;
}): Promise<void> {
  const { files, clock, log, directory, host, port, signal } = options;
  const keys = await openManufacturerKeys({ files, clock, directory });
  const desk = createVoucherDesk({ keys, devices: createDevices({ files, directory }), clock, log });
  const context = (tls: Credential): SecureContextOptions => ({
    key: exportPrivateKey(tls.key).reveal(),
    cert: tls.certificate.pem,
    // Customers' issuer alone. An IDevID is refused in the handshake.
    ca: keys.serviceCa.certificate.pem,
    minVersion: 'TLSv1.3',
  });
  async function keepTlsFresh(): Promise<void> {
    let { tls } = keys;
    for (;;) {
      await clock.sleep(TLS_LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const next = await renewedTls({ files, clock, directory }, { serviceCa: keys.serviceCa, tls });
        if (next === tls) continue;
        tls = next;
        server.setSecureContext(context(tls));
        log.info('renewed the TLS certificate', {
          notAfter: new Date(tls.certificate.notAfterMs).toISOString(),
        });
      } catch (error) {
        log.error('the TLS certificate could not be renewed', { error });
      }
    }
  }
  const server = createServer(
    {
      ...SERVER_LIMITS,
      ...context(keys.tls),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    },
    createRouteListener({ routes: routesOf(desk), log }),
  );
  server.on('tlsClientError', (cause) => log.warn('a TLS handshake failed', { reason: cause.message }));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.on('close', resolve);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      // accept(2) failed, for want of descriptors or memory: the next one need not.
      server.on('error', (error) => log.error('the manufacturer took no connection', { error }));
      const bound = portOf(server.address());
      log.info('manufacturer is listening', { host, port: bound });
      options.onListening?.(bound);
      void keepTlsFresh();
    });
    const stop = (): void => {
      server.close();
      server.closeAllConnections();
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

const portOf = (address: AddressInfo | string | null): number =>
  typeof address === 'object' && address !== null ? address.port : 0;

function routesOf(desk: VoucherDesk): readonly Route[] {
  return [
    { name: 'GET /ping', maxBodyBytes: 0, answer: async () => json({}) },
    {
      name: 'POST /vouchers',
      maxBodyBytes: MAX_BODY_BYTES,
      answer: async (body, request) => ({
        mediaType: VOUCHER_MEDIA_TYPE,
        body: await desk.issue(customerOf(request), decode(VoucherRequest, body, 'The voucher request')),
      }),
    },
    {
      name: 'POST /release',
      maxBodyBytes: MAX_BODY_BYTES,
      answer: async (body, request) => {
        await desk.release(customerOf(request), decode(ReleaseRequest, body, 'The release'));
        return json({});
      },
    },
  ];
}

/** The account is the common name of the client certificate that the handshake has verified. */
function customerOf({ socket }: IncomingMessage): string {
  const certificate =
    socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate() : undefined;
  const customer =
    certificate === undefined ? undefined : parseCertificate(certificate.raw).subject.commonName;
  if (customer !== undefined) return customer;
  throw new BranchboxError('controller/refused', { message: 'The client certificate names no customer' });
}
