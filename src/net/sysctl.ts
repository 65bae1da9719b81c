/**
 * Owns sysctls that items ask for. They carry no mark, so a note of what was set (and what was there before)
 * stands in /run/branchbox/applied/sysctl.json; letting go of one puts back what was there.
 * Does not own the settings every box has (firmware/sysctl).
 */
import { z } from 'zod';
import { BranchboxError } from '../model/errors.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { System } from '../system/ports.ts';
import { createAppliedNotes } from './applied.ts';
import { sysctl } from './itemIds.ts';
import type { SysctlItem } from './items.ts';
import { eachInTurn } from './outcome.ts';

export function createSysctlDriver({ files }: Pick<System, 'files'>): Driver<SysctlItem> {
  const notes = createAppliedNotes(files, 'sysctl', z.object({ before: z.string() }));
  const readValue = async (key: string): Promise<string | undefined> => {
    const text = await files.readText(sysctlPath(key));
    return text === undefined ? undefined : normal(text);
  };

  const set = async ({ spec, id }: SysctlItem): Promise<void> => {
    const before = await readValue(spec.key);
    if (before === undefined) {
      throw new BranchboxError('net/unsupported', { message: `${id}: this kernel has no such setting` });
    }
    // Noted before it is done: killed between the two, it is found and put back all the same.
    if (!(await notes.read()).has(spec.key)) await notes.change(new Map([[spec.key, { before }]]));
    await files.writeKernel(sysctlPath(spec.key), spec.value);
  };

  return {
    async observe() {
      const found: SysctlItem[] = [];
      for (const key of (await notes.read()).keys()) {
        // Gone with its interface.
        const value = await readValue(key);
        if (value !== undefined) found.push(sysctl({ key, value }));
      }
      return found;
    },
    create: (items) => eachInTurn(items, set),
    modify: (changes) =>
      eachInTurn(
        changes.map((change) => change.to),
        set,
      ),
    delete: (items) =>
      eachInTurn(items, async ({ spec }) => {
        const note = (await notes.read()).get(spec.key);
        if (note !== undefined && (await readValue(spec.key)) !== undefined) {
          await files.writeKernel(sysctlPath(spec.key), note.before);
        }
        await notes.change(new Map([[spec.key, undefined]]));
      }),
    needsRecreate: () => false,
  };
}

/** sysctl(8): dots between, `/` for a dot inside an interface's name. Pure. */
export function sysctlPath(key: string): string {
  if (!/^[a-z0-9_]+(\.[a-zA-Z0-9_/-]+)+$/.test(key)) {
    throw new BranchboxError('model/invalid', { message: `${JSON.stringify(key)} is no sysctl` });
  }
  return `/proc/sys/${key.replaceAll(/[./]/g, (mark) => (mark === '.' ? '/' : '.'))}`;
}

/** The kernel separates several values by tabs. */
const normal = (text: string): string => text.trim().replaceAll(/\s+/g, ' ');
