/**
 * Owns a tenant's app as the desired state has it: image, volumes, attachment, limits. Does not own how it is run (containers).
 */
import { z } from 'zod';
import { Ipv4, Ipv4Interface, isStationMac, MacAddress } from './addresses.ts';
import { crossChecked } from './crossCheck.ts';
import { AppName, SegmentId, TenantName, VolumeName } from './ids.ts';
import { eachReadable } from './readable.ts';

/** With less no app starts: runc itself, inside the app's limit, takes 14.3 MiB with cgroup version 2. */
export const LEAST_APP_MEMORY_MIB = 20;

/** OCI image reference; kept narrow since it reaches an engine's API. */
export const ImageReference = z
  .string()
  .max(255)
  .regex(/^[a-z0-9]([a-zA-Z0-9._/:@-]*[a-zA-Z0-9])$/, 'an image reference such as tenant/app:1');
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hex');

/** A program's arguments and environment end at a NUL (execve(2)). */
const withoutNul = (text: string): boolean => !text.includes('\0');
export const AppCommand = z.array(z.string().max(4096).refine(withoutNul, 'text without NUL')).max(64);
export const AppEnvironment = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
  z.string().max(32_768).refine(withoutNul, 'text without NUL'),
);
export const AppMac = MacAddress.refine(isStationMac, 'the address of one station: no group address');

/** A directory of an app that outlives its container: a restart of the box, another image, other firmware. */
const AppVolume = z.strictObject({
  name: VolumeName,
  /** In the app. */
  path: z
    .string()
    .max(255)
    .regex(/^(\/[A-Za-z0-9._-]+)+$/, 'an absolute path such as /data')
    .refine((path) => path.split('/').every((part) => part !== '.' && part !== '..'), 'a path without dots'),
});
export const AppVolumes = crossChecked(z.array(AppVolume).min(1).max(16), (volumes, report) => {
  for (const key of ['name', 'path'] as const) {
    const seen = new Set<string>();
    eachReadable(
      () => volumes,
      ({ [key]: value }, index) => {
        if (seen.has(value)) report([index, key], `${value} is another volume's already`);
        seen.add(value);
      },
    );
  }
});

export const App = z.strictObject({
  name: AppName,
  tenant: TenantName,
  image: z.strictObject({
    reference: ImageReference,
    /** An archive (`docker save` format) the controller serves; absent where the image comes from a registry. */
    bundle: z
      .strictObject({
        sha256: Sha256,
        sizeBytes: z
          .int()
          .min(1)
          .max(8 * 1024 ** 3),
      })
      .optional(),
  }),
  command: AppCommand.optional(),
  environment: AppEnvironment.default({}),
  /** Absent where it keeps nothing: a version that knows no volumes understands that too. */
  volumes: AppVolumes.optional(),
  attachment: z.strictObject({
    segment: SegmentId,
    address: Ipv4Interface,
    /** Absent: derived from gateway and app name. */
    macAddress: AppMac.optional(),
    gateway: Ipv4.optional(),
  }),
  limits: z.strictObject({
    memoryBytes: z.int().min(LEAST_APP_MEMORY_MIB * 1024 * 1024),
    /** Cores, in hundredths at the finest. */
    cpus: z.number().min(0.01).max(256),
    pids: z.int().min(1).max(100_000).default(256),
  }),
});
export type App = z.output<typeof App>;
