/**
 * Owns the signed manifest of a firmware version, and what a box says of its own firmware.
 * Does not own who may sign one (update/manifest.ts) nor how a version gets onto a disk (update).
 */
import { z } from 'zod';
import { shownWord } from './shownWord.ts';

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

export const FIRMWARE_RESULTS = ['committed', 'rolled-back', 'refused'] as const;

/** Of the day in UTC, `HH:MM`; a window that ends before it begins goes over midnight. */
const TimeOfDay = z.string().regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'a time of day such as 03:30');
export const UpdateWindow = z
  .strictObject({ start: TimeOfDay, end: TimeOfDay })
  .refine(({ start, end }) => start !== end, 'a window that ends when it begins');
export type UpdateWindow = z.output<typeof UpdateWindow>;

/** What the controller wants of a box's firmware. */
export const WantedFirmware = z.strictObject({
  version: FirmwareVersion,
  /** Compact JWS of a FirmwareManifest; the box believes it by its own anchors, whoever passes it on. */
  manifest: z.string().min(1).max(MANIFEST_MAX_BYTES),
  /** Of the download, over all uplinks; kbit/s. */
  rateLimitKbps: z.int().min(8).max(10_000_000).optional(),
  /** In which it is fetched and the box restarted; absent: at once. */
  window: UpdateWindow.optional(),
  allowDowngrade: z.boolean().default(false),
});
export type WantedFirmware = z.output<typeof WantedFirmware>;

export const FIRMWARE_STATES = [
  'unavailable',
  'idle',
  'waiting',
  'downloading',
  'verifying',
  'ready',
  'trial',
  'committed',
  'rolled-back',
  'refused',
] as const;

/** In a status: what a box runs, and how its update stands. */
export const FirmwareStatus = z.strictObject({
  version: z.string(),
  /** undefined where the box has no slots. */
  slot: z.enum(['a', 'b']).optional(),
  state: z.enum(FIRMWARE_STATES),
  /** For a person: why it is in this state, and what is next. */
  sentence: z.string(),
  /** Under way. */
  target: z.strictObject({ version: z.string(), digest: z.string() }).optional(),
  /** Of all parts together, in steps of five: not each megabyte is a new status. */
  progressPercent: z.int().min(0).max(100).optional(),
  lastResult: z
    .strictObject({
      version: z.string(),
      digest: z.string(),
      result: z.enum(FIRMWARE_RESULTS),
      /** Of a roll-back. */
      cause: z.string().optional(),
      sentence: z.string(),
      atMs: z.number(),
    })
    .optional(),
});
export type FirmwareStatus = z.output<typeof FirmwareStatus>;

/** The same to a controller, which may be older than the box. */
export const ToldFirmware = FirmwareStatus.extend({
  state: shownWord(FIRMWARE_STATES),
  lastResult: FirmwareStatus.shape.lastResult
    .unwrap()
    .extend({ result: shownWord(FIRMWARE_RESULTS) })
    .optional(),
});
export type ToldFirmware = z.output<typeof ToldFirmware>;

/** `branchbox firmware status --json`. */
export const LocalFirmware = z.strictObject({
  status: FirmwareStatus,
  /** What somebody at the box asked for has not ended yet. */
  asked: z.boolean(),
  /** Of the part under way. */
  fetching: z
    .strictObject({ role: z.enum(PART_ROLES), doneBytes: z.number(), totalBytes: z.number() })
    .optional(),
  /** undefined where there are none, or the disk cannot be read. */
  disk: z
    .strictObject({
      slots: z.array(
        z.strictObject({ slot: z.enum(['a', 'b']), rootHash: z.string(), running: z.boolean() }),
      ),
      entries: z.array(
        z.strictObject({
          file: z.string(),
          version: z.string(),
          /** undefined: committed. */
          triesLeft: z.int().optional(),
          triesDone: z.int(),
          slot: z.enum(['a', 'b']).optional(),
        }),
      ),
    })
    .optional(),
  /** Newest last. */
  history: z.array(FirmwareStatus.shape.lastResult.unwrap()),
});
export type LocalFirmware = z.output<typeof LocalFirmware>;

/** As the kernel names a disk on USB, or a partition of it. */
export const StickName = z.string().regex(/^sd[a-z]{1,3}[0-9]{0,3}$/, 'a disk on USB, such as sdb1');

/** `POST /firmware` of the agent's local API. */
export const FirmwareRequest = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('update'),
    /** Absolute; holds one manifest and its parts. Absent: what the controller wants, now and once more. */
    directory: z.string().startsWith('/').max(4096).optional(),
    allowDowngrade: z.boolean(),
    /** A USB stick that was plugged in, for which nobody answers: what the controller wants, or newer where it wants none. */
    stick: StickName.optional(),
  }),
  z.strictObject({ kind: z.literal('commit') }),
  z.strictObject({ kind: z.literal('rollback') }),
]);
export type FirmwareRequest = z.output<typeof FirmwareRequest>;
