/**
 * Owns the names of our boot entries: `branchbox_VERSION[+LEFT[-DONE]].efi`. The loader counts tries in the name (Boot
 * Loader Specification, "Boot counting"): it writes LEFT one lower before it starts an entry, passes over one with none
 * left, and an entry without a counter is committed. Pure.
 */

export interface BootEntry {
  /** In the ESP's /EFI/Linux. */
  readonly file: string;
  readonly version: string;
  /** undefined: committed. While it runs, the try under way is already taken off. */
  readonly triesLeft: number | undefined;
  readonly triesDone: number;
  readonly sizeBytes: number;
  /** Of the root that its command line names; undefined where the file is no whole UKI. */
  readonly rootHash: string | undefined;
}

const NAME = /^branchbox_([0-9][a-z0-9.~^-]*)(?:\+([0-9]{1,4})(?:-([0-9]{1,4}))?)?\.efi$/;
/** Two, so that a power cut in the first does not undo an update. */
const FIRST_TRIES = 2;

/** undefined: not one of ours. */
export function parseEntryName(file: string): Omit<BootEntry, 'rootHash' | 'sizeBytes'> | undefined {
  const match = NAME.exec(file);
  const [, version, left, done] = match ?? [];
  if (version === undefined) return undefined;
  return {
    file,
    version,
    triesLeft: left === undefined ? undefined : Number(left),
    triesDone: Number(done ?? 0),
  };
}

export const trialEntryName = (version: string): string => `branchbox_${version}+${FIRST_TRIES}.efi`;
/**
 * Also what the loader calls it, with or without a counter in its file's name, in its variables (systemd-boot 257): those
 * take a shell pattern in lower case, which this is.
 */
export const committedEntryName = (version: string): string => `branchbox_${version}.efi`;
/** What the loader passes over. */
export const badEntryName = ({ version, triesDone }: Pick<BootEntry, 'version' | 'triesDone'>): string =>
  `branchbox_${version}+0-${triesDone}.efi`;

export interface HalfRenamed {
  readonly kept: string;
  readonly other: string;
}

/**
 * Versions whose renaming (by a commit, by the loader's count, by a verdict of bad) was cut, which FAT may leave under both
 * names. The later name is kept: the committed one, else the one with fewer tries left. Before a version is placed on trial,
 * every other entry of that version is gone.
 */
export const halfRenamed = (entries: readonly BootEntry[]): readonly HalfRenamed[] =>
  entries.flatMap(({ file: other, version, rootHash }) => {
    const named = entries.filter((entry) => entry.version === version);
    const latest = named.toSorted((a, b) => leftOf(a) - leftOf(b) || b.triesDone - a.triesDone)[0];
    if (latest === undefined || latest.file === other) return [];
    const isOther = rootHash !== undefined && latest.rootHash !== undefined && rootHash !== latest.rootHash;
    return isOther ? [] : [{ kept: latest.file, other }];
  });
const leftOf = ({ triesLeft }: BootEntry): number => triesLeft ?? -1;
