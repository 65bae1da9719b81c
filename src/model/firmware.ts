/**
 * Owns the signed manifest of a firmware version, and what a box says of its own firmware.
 * Does not own who may sign one (update/manifest.ts) nor how a version gets onto a disk (update).
 */
import { z } from 'zod';

export const FIRMWARE_SCHEMA = 1;
/** Cap on the signed manifest: three parts and a chain of certificates stay far below it. */
export const MANIFEST_MAX_BYTES = 64 * 1024;

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hex');
/** dm-verity's, with SHA-256: the slot's partitions are named by its two halves. */
export const RootHash = z.string().regex(/^[0-9a-f]{64}$/, 'a root hash of 64 hex digits');

/**
 * What stands in a boot entry's file name, so no `+`, which is where the loader counts tries (Boot Loader
 * Specification, "Boot counting"); lower case, since FAT tells no case and the loader compares in lower case.
 */
export const FirmwareVersion = z
  .string()
  .min(1)
  .max(48)
  .regex(/^[0-9][a-z0-9.~^-]*$/, 'a version such as 0.2.0 or 0.2.0~rc1');

/** Of a file beside the manifest; never a path. */
const FileName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._~^-]{0,127}$/, 'a plain file name');

export const PART_ROLES = ['root', 'verity', 'uki'] as const;
export type PartRole = (typeof PART_ROLES)[number];
const MIB = 1024 * 1024;
/** Slots have 768 and 16 MiB; of 512 MiB of ESP two entries and what the loader needs must fit. */
export const PART_MAX_BYTES: Readonly<Record<PartRole, number>> = {
  root: 768 * MIB,
  verity: 16 * MIB,
  uki: 240 * MIB,
};

const Part = z
  .strictObject({
    role: z.enum(PART_ROLES),
    file: FileName,
    sizeBytes: z.int().min(1),
    sha256: Sha256,
  })
  .superRefine(({ role, sizeBytes }, context) => {
    if (sizeBytes <= PART_MAX_BYTES[role]) return;
    const message = `is larger than the ${PART_MAX_BYTES[role]} bytes that a ${role} may have`;
    context.addIssue({ code: 'custom', path: ['sizeBytes'], message });
  });
export type FirmwarePart = z.output<typeof Part>;

/** The payload of `branchbox-VERSION.update.jws`. */
export const FirmwareManifest = z
  .strictObject({
    schema: z.literal(FIRMWARE_SCHEMA),
    product: z.literal('branchbox'),
    arch: z.string().regex(/^[a-z0-9-]{1,32}$/),
    version: FirmwareVersion,
    builtAtMs: z.int().min(0),
    rootHash: RootHash,
    parts: z.array(Part).length(PART_ROLES.length),
  })
  .superRefine(({ parts }, context) => {
    for (const role of PART_ROLES) {
      if (parts.filter((part) => part.role === role).length === 1) continue;
      context.addIssue({ code: 'custom', path: ['parts'], message: `has not exactly one part ${role}` });
    }
  });
export type FirmwareManifest = z.output<typeof FirmwareManifest>;
