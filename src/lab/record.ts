/**
 * Owns what `lab up` wrote down of a running lab: topology and tree. Whether a node runs is asked of the kernel.
 */
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Files } from '../system/ports.ts';
import type { LabPaths } from './paths.ts';
import { readTopology, type Topology } from './topology.ts';

const LabRecord = z.strictObject({
  lab: z.string(),
  topology: z.string(),
  tree: z.string(),
  startedAt: z.string(),
});
export type LabRecord = z.output<typeof LabRecord>;

export async function writeRecord(
  files: Pick<Files, 'writeDurable'>,
  paths: LabPaths,
  record: LabRecord,
): Promise<void> {
  await files.writeDurable(paths.record, `${JSON.stringify(record, undefined, 2)}\n`);
}

export async function readRecord(
  files: Pick<Files, 'readText' | 'list'>,
  paths: LabPaths,
): Promise<{ readonly record: LabRecord; readonly topology: Topology }> {
  const text = await files.readText(paths.record);
  if (text === undefined) {
    throw new BranchboxError('lab/not-running', {
      message: `no lab "${paths.lab}" is up`,
      mend: `branchbox lab up --lab ${paths.lab}`,
    });
  }
  const record = decodeJson(LabRecord, text, paths.record);
  return { record, topology: await readTopology(files, record.topology) };
}
