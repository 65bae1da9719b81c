/**
 * Owns which names a version of the image may be built under. Does not own how versions are ordered (src/update/version.ts).
 * Pure.
 */
import { FirmwareVersion } from '../src/model/firmware.ts';

/** undefined: none. */
export function versionProblem(version: string): string | undefined {
  // Nor one that ends with `-`: what follows it is a Debian package's revision, and an empty one is refused by dpkg.
  if (!FirmwareVersion.safeParse(version).success || version.endsWith('-'))
    return 'it begins with a digit, has 48 characters at most (digits, small letters and .~^-), and no - at its end, as in 0.2.0~rc1';
  // As npm writes what comes before a version. To the boot loader (UAPI.10) and dpkg it comes after: a box that runs it
  // would take the version itself for a downgrade.
  const [, release, before] = /^([0-9.]+)-([a-z].*)$/.exec(version) ?? [];
  if (release === undefined) return undefined;
  return `it is newer than ${release} to boot loader and boxes, which would refuse that as a downgrade: what comes before it is ${release}~${before}`;
}
