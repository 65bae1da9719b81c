import { describe, expect, it } from 'vitest';
import { stagesIn } from '../../../../src/lab/vm/stages.ts';

const FIRST = [
  'BdsDxe: starting Boot0001 "UEFI Misc Device"',
  '[    0.000000] Linux version 6.12',
  '<5>branchbox-initrd: root is vda2 of vda, verified',
  '[   20.1] systemd[1]: systemd 257 running in system mode',
  '[   30.2] systemd[1]: Mounted var.mount - Data partition.',
  '[   60.0] systemd[1]: Reached target multi-user.target - Multi-User System.',
].join('\n');

describe('stages of a machine’s boot', () => {
  it('are read from its serial log, in their order', () => {
    expect(stagesIn('')).toEqual([]);
    expect(stagesIn(FIRST).at(-1)).toBe('multi-user');
    expect(stagesIn(FIRST)).toHaveLength(6);
  });

  it('are the newest boot’s, not those of the boots before it', () => {
    const second = 'BdsDxe: starting Boot0001\n[ 0.0] Linux version 6.12';
    expect(stagesIn(`${FIRST}\n${second}`)).toEqual(['firmware starts the boot loader', 'kernel runs']);
  });
});
