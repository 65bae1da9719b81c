import { expect, it } from 'vitest';
import { parseBoot } from '../../bench/bootMachine.ts';

const LOG = [
  'BdsDxe: starting Boot0001',
  '[    0.000000] Linux version 6.12.118',
  '[    2.250000] systemd[1]: Started something of a name like systemd.',
  // Init puts the terminal in order before its first word.
  '\u001b[!p\u001b]104\u001b[?7h[    4.500000] systemd[1]: systemd 257.9-1~deb13u1 running in system mode (+PAM)',
  '[   31.125000] systemd[1]: Reached target multi-user.target - Multi-User System.',
].join('\r\n');

it('reads the times of a boot from the kernel’s log', () => {
  expect(parseBoot(LOG)).toEqual({ kernelToInitS: 4.5, kernelToMultiUserS: 31.125 });
});

it('says which line it misses', () => {
  expect(() => parseBoot(LOG.slice(0, 60))).toThrow(/no line .*systemd/);
});
