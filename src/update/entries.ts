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

export interface HalfCommitted {
  readonly committed: string;
  readonly counted: string;
}

/**
 * Of versions whose commit was cut within its rename, which FAT may leave with both names. The committed one proves the
 * verdict: before a version is placed on trial, every other entry of that name is gone.
 */
export const halfCommitted = (entries: readonly BootEntry[]): readonly HalfCommitted[] =>
  entries.flatMap(({ file: counted, version, triesLeft, rootHash }) => {
    if (triesLeft === undefined) return [];
    const other = entries.find((entry) => entry.version === version && entry.triesLeft === undefined);
    const isOther = rootHash !== undefined && other?.rootHash !== undefined && rootHash !== other.rootHash;
    return other === undefined || isOther ? [] : [{ committed: other.file, counted }];
  });
