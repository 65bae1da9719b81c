/**
 * Owns the paths of the API that a controller offers its boxes over mutual TLS (Owner.device), and the words by which
 * it takes its trust from one.
 * Does not own who may ask for what (controller/deviceApi).
 */
import { z } from 'zod';

/** A sign of life, and how the box stands. 200: as a gateway of the fleet. */
export const PING_PATH = '/v1/ping';

/** GET, by whoever asks: the revocation lists of all CAs that count, PEM (Owner.revocationListsPath). */
export const REVOCATION_LISTS_PATH = '/v1/revocation-lists';

/** POST of a box that left, as it was ordered: 204. */
export const MOVED_PATH = '/v1/moved';
/** `generation` of the order, which says where to. */
export const MovedWord = z.strictObject({ generation: z.int().min(1) });
export type MovedWord = z.output<typeof MovedWord>;

/**
 * With status 403: the controller knows this box and does not trust it. A controller that merely does not know a box
 * (an old database was restored) says 403 without `standing`: that stops nobody's traffic.
 */
export const QuarantineAnswer = z.object({
  standing: z.literal('quarantined'),
  message: z.string().max(1000),
});
export type QuarantineAnswer = z.output<typeof QuarantineAnswer>;

/** With status 403: the controller trusts this box, and the CA of the certificate that it showed no more. */
export const SupersededAnswer = z.object({
  standing: z.literal('superseded'),
  message: z.string().max(1000),
});
export type SupersededAnswer = z.output<typeof SupersededAnswer>;

/** An app's archive, by its SHA-256; bytes as uploaded. */
export const bundlePath = (sha256: string): string => `/v1/bundles/${sha256}`;
/** A part of a firmware version, by its SHA-256. */
export const firmwarePath = (sha256: string): string => `/v1/firmware/${sha256}`;
