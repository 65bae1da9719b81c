/**
 * Owns what a gateway fetches over HTTPS under its own certificate: the bundles of its own apps, the parts of the
 * firmware it is to run, a sign of life, the far end of its uplink tests (uplinkTest/deviceRoutes), its word that it left
 * (movedRoute); and by whoever asks, what was revoked.
 * Does not own MQTT, by which all else goes.
 */
import { PING_PATH, REVOCATION_LISTS_PATH } from '../model/deviceApi.ts';
import { firmwareOf } from '../model/fleet.ts';
import type { Certificate } from '../pki/certificate.ts';
import type { Clock } from '../system/ports.ts';
import type { Admissions } from './admission.ts';
import type { Blobs } from './blobs.ts';
import { type FirmwareStore, manifestOf } from './firmware.ts';
import { type FleetService, gatewayOf } from './fleetService.ts';
import { type Answer, CERTIFICATE_CHALLENGE, type Handler, requestLine } from './exchange.ts';
import { createPeerOf, type PeerAnchors } from './peer.ts';
import { type Served, serveBytes } from './serveBytes.ts';
import type { MovedRoute } from './movedRoute.ts';
import type { Store } from './store/store.ts';
import type { UplinkTestRoutes } from './uplinkTest/deviceRoutes.ts';

export function createDeviceHandler(options: {
  readonly store: Store;
  readonly admissions: Admissions;
  readonly bundles: Blobs;
  readonly firmware: FirmwareStore;
  readonly fleet: Pick<FleetService, 'read'>;
  readonly uplinkTest: UplinkTestRoutes;
  readonly moved: MovedRoute;
  /** PEM. */
  readonly revocationLists: () => string;
  readonly anchors: PeerAnchors;
  readonly clock: Clock;
}): Handler {
  const peerOf = createPeerOf();
  return async (request, socket, response) => {
    const { method, path } = requestLine(request);
    // For anybody: a box wants it before it shows who it is, and one in quarantine needs it no less.
    if (path === REVOCATION_LISTS_PATH && (method === 'GET' || method === 'HEAD')) {
      return { status: 200, mediaType: 'application/x-pem-file', body: options.revocationLists() };
    }
    const peer = await peerOf(socket, options.anchors, options.clock.nowMs());
    if (path === PING_PATH && method === 'GET' && peer.kind === 'idevid') {
      return factoryStanding(peer.serial, peer.certificate);
    }
    if (peer.kind === 'untrusted' && peer.certificate !== undefined && path === PING_PATH) {
      const told = await supersededStanding(peer.certificate);
      if (told !== undefined) return told;
    }
    if (peer.kind !== 'ldevid') {
      const answer = json(401, { code: 'controller/refused', message: 'a gateway certificate is needed' });
      return { ...answer, headers: CERTIFICATE_CHALLENGE };
    }
    const admission = await options.admissions.recognise(peer.gatewayId, peer.certificate);
    if (admission.kind === 'refused') return quarantined(admission.why);
    if (admission.kind !== 'admitted') {
      return json(403, { code: 'controller/refused', message: 'this certificate is not known here' });
    }
    const tested = await options.uplinkTest.handle(peer.gatewayId, request, response, { method, path });
    if (tested !== undefined) return tested;
    const box = { gatewayId: peer.gatewayId, serial: admission.serial };
    const moved = await options.moved.handle(box, request, { method, path });
    if (moved !== undefined) return moved;
    const [, allowed] = METHODS_AT.find(([paths]) => paths.test(path)) ?? [];
    if (allowed === undefined) return nothing();
    if (!allowed.includes(method)) {
      const words = allowed.join(', ');
      return { ...deviceRefusal(405, `this has no ${method}, but ${words}`), headers: { Allow: words } };
    }
    if (path === PING_PATH) return json(200, { gatewayId: peer.gatewayId });
    const [, kind, sha256 = ''] = /^\/v1\/(bundles|firmware)\/([0-9a-f]{64})$/.exec(path) ?? [];
    const found =
      kind === 'bundles'
        ? await bundle(peer.gatewayId, sha256)
        : kind === 'firmware'
          ? await firmwarePart(peer.gatewayId, sha256)
          : undefined;
    if (found === undefined) return nothing();
    await serveBytes(found, request, response);
    return 'sent';
  };

  /**
   * For a box whose own certificate has expired. Only a box that was enrolled is told that it is quarantined: its key must be the
   * one that was bound to the serial.
   */
  async function factoryStanding(serial: string, idevid: Certificate): Promise<Answer> {
    const admission = await options.admissions.consider(serial, idevid);
    if (admission.kind === 'admitted') return json(200, { gatewayId: admission.gateway.id });
    const entry = await options.store.inventory.get(serial);
    if (entry?.state === 'revoked' && entry.identity?.spkiSha256 === idevid.spkiSha256) {
      return quarantined('this box was revoked');
    }
    return json(403, { code: 'controller/refused', message: 'this box has no standing here' });
  }

  /**
   * For a box whose certificate we issued and which is still in its time, but whose CA was dropped meanwhile: no server accepts
   * it any more, and the box would not learn that before it expires. The handshake proved that it has the key.
   */
  async function supersededStanding(ldevid: Certificate): Promise<Answer | undefined> {
    const nowMs = options.clock.nowMs();
    if (nowMs < ldevid.notBeforeMs || nowMs > ldevid.notAfterMs) return undefined;
    const admission = await options.admissions.recognise(ldevid.subject.commonName ?? '', ldevid);
    if (admission.kind === 'refused') return quarantined(admission.why);
    if (admission.kind !== 'admitted') return undefined;
    const message = 'the CA of this certificate was dropped: enrol with the factory identity';
    return json(403, { code: 'controller/refused', standing: 'superseded', message });
  }

  /** A bundle of somebody else's app is as unknown as none at all. */
  async function bundle(gatewayId: string, sha256: string): Promise<Served | undefined> {
    const gateway = gatewayOf((await options.fleet.read())?.fleet, gatewayId);
    const sizeBytes = (await options.store.records.bundles()).get(sha256);
    if (sizeBytes === undefined || !gateway.apps.some((app) => app.bundle === sha256)) return undefined;
    return {
      sizeBytes,
      mediaType: 'application/x-tar',
      open: (range) => options.bundles.open(sha256, range),
    };
  }

  /** Likewise a part of a version that this gateway is not to run. */
  async function firmwarePart(gatewayId: string, sha256: string): Promise<Served | undefined> {
    const fleet = (await options.fleet.read())?.fleet;
    const wanted = fleet === undefined ? undefined : firmwareOf(fleet, gatewayOf(fleet, gatewayId));
    const manifest =
      wanted === undefined ? undefined : (await options.firmware.offered()).get(wanted.version);
    if (manifest === undefined) return undefined;
    const part = manifestOf(manifest).parts.find((one) => one.sha256 === sha256);
    if (part === undefined) return undefined;
    return {
      sizeBytes: part.sizeBytes,
      mediaType: 'application/octet-stream',
      open: (range) => options.firmware.open(sha256, range),
    };
  }
}

/** Methods by path, the same for every gateway; what this one may not have is 404 to any of them. */
const METHODS_AT: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^\/v1\/(ping|revocation-lists|bundles\/.+|firmware\/.+)$/, ['GET', 'HEAD']],
  [/^\/v1\/uplink-test\/download\/\d+$/, ['GET']],
  [/^\/v1\/(moved|uplink-test\/(session|upload))$/, ['POST']],
];

export function deviceFailed(): Answer {
  return json(500, { code: 'internal', message: 'the request failed here' });
}

export function deviceRefusal(status: number, message: string): Answer {
  return json(status, { code: 'controller/refused', message });
}

/** What makes a box stop its tenants' traffic; model/deviceApi QuarantineAnswer. */
function quarantined(why: string): Answer {
  return json(403, { code: 'controller/refused', standing: 'quarantined', message: why });
}

function nothing(): Answer {
  return json(404, { code: 'controller/not-found', message: 'there is no such thing for this gateway' });
}

function json(status: number, body: Readonly<Record<string, string>>): Answer {
  return { status, mediaType: 'application/json', body: JSON.stringify(body) };
}
