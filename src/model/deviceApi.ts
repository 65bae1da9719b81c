/**
 * Owns the paths of the API that a controller offers its boxes over mutual TLS (Owner.device).
 * Does not own who may ask for what (controller/device).
 */

/** An app's archive, by its SHA-256; bytes as uploaded. */
export const bundlePath = (sha256: string): string => `/v1/bundles/${sha256}`;
/** A part of a firmware version, by its SHA-256. */
export const firmwarePath = (sha256: string): string => `/v1/firmware/${sha256}`;
