/**
 * Owns reading the machine's hardware clock (RTC), which the kernel holds to be UTC. A hint: who judges it is clockFloor.ts.
 * The system's clock starts from it where the kernel has its driver by then; where not, this is all that knows of it.
 */
import type { Files } from '../system/ports.ts';

const MAX_BYTES = 64;

/** Of the kernel's: a machine has one, a board sometimes a second without a battery. undefined where none can be read. */
export async function readHardwareClock(
  files: Pick<Files, 'list' | 'readText'>,
  directory: string,
): Promise<number | undefined> {
  const read = async (name: string, file: string): Promise<string> =>
    (await files.readText(`${directory}/${name}/${file}`, MAX_BYTES).catch(() => undefined))?.trim() ?? '';
  const names = (await files.list(directory).catch(() => [])).filter((name) => /^rtc\d{1,3}$/.test(name));
  const clocks = await Promise.all(
    names.toSorted().map(async (name) => ({
      seconds: await read(name, 'since_epoch'),
      // The one that the kernel sets its own by.
      isMain: (await read(name, 'hctosys')) === '1',
    })),
  );
  const told = clocks.filter(({ seconds }) => /^\d{1,12}$/.test(seconds));
  const best = told.find(({ isMain }) => isMain) ?? told[0];
  return best === undefined ? undefined : Number(best.seconds) * 1000;
}
