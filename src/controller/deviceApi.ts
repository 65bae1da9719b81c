/**
 * Owns what a gateway fetches over HTTPS under its own certificate: the bundles of its own apps, and a sign of life.
 * Does not own MQTT, by which all else goes.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { FleetGateway } from '../model/fleet.ts';
import type { Clock } from '../system/ports.ts';
import type { Admissions } from './admission.ts';
import type { Bundles } from './bundles.ts';
import { type Answer, type Handler, requestLine } from './exchange.ts';
import { peerOf, type PeerAnchors } from './peer.ts';
import type { Store } from './store/store.ts';

export function createDeviceHandler(options: {
  readonly store: Store;
  readonly admissions: Admissions;
  readonly bundles: Bundles;
  readonly anchors: PeerAnchors;
  readonly clock: Clock;
}): Handler {
  return async (request, socket, response) => {
    const { method, path } = requestLine(request);
    const peer = await peerOf(socket, options.anchors, options.clock.nowMs());
    if (peer.kind !== 'ldevid')
      return json(401, { code: 'controller/refused', message: 'a gateway certificate is needed' });
    const admission = await options.admissions.recognise(peer.gatewayId, peer.certificate);
    if (admission.kind !== 'admitted') {
      const message = admission.kind === 'refused' ? admission.why : 'this certificate is not known here';
      return json(403, { code: 'controller/refused', message });
    }
    if (method !== 'GET' && method !== 'HEAD') {
      return {
        ...json(405, { code: 'controller/refused', message: 'only GET' }),
        headers: { Allow: 'GET, HEAD' },
      };
    }
    if (path === '/v1/ping') return json(200, { gatewayId: peer.gatewayId });
    const sha256 = /^\/v1\/bundles\/([0-9a-f]{64})$/.exec(path)?.[1];
    if (sha256 === undefined || !usesBundle(admission.gateway, sha256)) return nothing();
    const sizeBytes = (await options.store.records.bundles()).get(sha256);
    if (sizeBytes === undefined) return nothing();
    await sendBundle(options.bundles, sha256, sizeBytes, request, response);
    return 'sent';
  };
}

export function deviceFailed(): Answer {
  return json(500, { code: 'internal', message: 'the request failed here' });
}

/** A bundle of somebody else's app is as unknown as none at all. */
function usesBundle(gateway: FleetGateway, sha256: string): boolean {
  return gateway.apps.some((app) => app.bundle === sha256);
}

async function sendBundle(
  bundles: Bundles,
  sha256: string,
  sizeBytes: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const start = resumeAt(request.headers.range, sizeBytes);
  const range =
    start === undefined ? {} : { 'Content-Range': `bytes ${start}-${sizeBytes - 1}/${sizeBytes}` };
  response.writeHead(start === undefined ? 200 : 206, {
    'Content-Type': 'application/x-tar',
    'Content-Length': sizeBytes - (start ?? 0),
    'Accept-Ranges': 'bytes',
    ...range,
  });
  if (request.method === 'HEAD') return void response.end();
  // A box that hangs up in the middle is no failure of ours: it comes back with a range.
  await pipeline(bundles.open(sha256, { start: start ?? 0, end: sizeBytes - 1 }), response).catch(() =>
    response.destroy(),
  );
}

/** Only `bytes=N-`, to go on after a cut; RFC 9110 14.2 lets a server ignore any other range. */
function resumeAt(header: string | undefined, sizeBytes: number): number | undefined {
  const start = Number(/^bytes=(\d{1,15})-$/.exec(header ?? '')?.[1] ?? Number.NaN);
  return start > 0 && start < sizeBytes ? start : undefined;
}

function nothing(): Answer {
  return json(404, { code: 'controller/not-found', message: 'there is no such thing for this gateway' });
}

function json(status: number, body: Readonly<Record<string, string>>): Answer {
  return { status, mediaType: 'application/json', body: JSON.stringify(body) };
}
