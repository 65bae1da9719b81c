/**
 * Owns reading which processes of this box an error ended lately, earlier runs of the agent included. By then they run
 * again: it is reported so that somebody learns of it.
 * Does not own the records (system/linux/longLived.ts).
 */
import { CRASH_RECORD_MAX_BYTES, CrashRecord } from '../model/crash.ts';
import { decodeJson } from '../model/decode.ts';
import type { Files } from '../system/ports.ts';

/** Long enough to be noticed even where the box was offline for a while; its event stays. */
const TOLD_MS = 3_600_000;
/** The processes of a box are few. */
const MAX_RECORDS = 8;

export async function readCrashes(
  files: Pick<Files, 'list' | 'readText'>,
  directory: string,
  nowMs: number,
): Promise<readonly CrashRecord[]> {
  const names = (await files.list(directory)).filter((name) => name.endsWith('.json'));
  const records: CrashRecord[] = [];
  for (const name of names.slice(0, MAX_RECORDS)) {
    const path = `${directory}/${name}`;
    try {
      const text = await files.readText(path, CRASH_RECORD_MAX_BYTES);
      const record = text === undefined ? undefined : decodeJson(CrashRecord, text, path);
      if (record !== undefined && nowMs - record.atMs < TOLD_MS) records.push(record);
    } catch {
      // Half a record says nothing.
    }
  }
  return records;
}
