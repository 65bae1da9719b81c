/**
 * Owns which entry of a simulated disk the boot loader starts next, and what it does to it: the one-shot choice, else the
 * newest that has a try left, one try taken off (systemd-boot 257). Does not own the disk (firmwareDisk.ts).
 */
import { committedEntryName } from '../../src/update/entries.ts';
import type { FirmwareDisk } from '../../src/update/ports.ts';
import { compareFirmwareVersions } from '../../src/update/version.ts';
import type { FakeFirmwareDisk } from './firmwareDisk.ts';

/** The version that is started now. */
export async function startNext(fake: FakeFirmwareDisk): Promise<string> {
  const signal = new AbortController().signal;
  const disk: FirmwareDisk = fake.disk;
  const { entries } = await disk.observe(signal);
  const once = fake.bootedOnce.pop();
  fake.bootedOnce.length = 0;
  const [chosen] = entries
    .filter(({ triesLeft }) => triesLeft !== 0)
    .toSorted(
      (a, b) =>
        Number(committedEntryName(b.version) === once) - Number(committedEntryName(a.version) === once) ||
        compareFirmwareVersions(b.version, a.version),
    );
  if (chosen === undefined) throw new Error('no entry to start');
  const { file, version, triesLeft, triesDone } = chosen;
  if (triesLeft !== undefined)
    await disk.renameEntry(file, `branchbox_${version}+${triesLeft - 1}-${triesDone + 1}.efi`, signal);
  return version;
}
