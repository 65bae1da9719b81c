import { describe, expect, it } from 'vitest';
import { inService, sleeps } from '../../vm/hungMachine.ts';

/** As QEMU 10.0 printed them of a machine that it had lost. */
const LOST = 'ESR\t 0x00000000 \r\nISR\t 236 \r\nIRR\t 33 34 236 \r\n\r\nAPR 0x01 TPR 0x10 DFR 0x0f';
const WELL = 'ESR\t 0x00000000 \r\nISR\t (none)\r\nIRR\t 236 \r\n\r\nAPR 0x00 TPR 0x10 DFR 0x0f';
const REGISTERS = [
  'CPU#0',
  'RIP=ffffffffafd12a3f RFL=00000206 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=0',
  'CPU#1',
  'RIP=ffffffffafd12a3f RFL=00000202 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1',
].join('\r\n');

describe('a machine that QEMU lost', () => {
  it('has a vector in service, and one that is well may have some that wait', () => {
    expect(inService(LOST)).toBe('236');
    expect(inService(WELL)).toBeUndefined();
    expect(inService('')).toBeUndefined();
  });

  it('sleeps with it', () => {
    expect(sleeps(REGISTERS, 0)).toBe(false);
    expect(sleeps(REGISTERS, 1)).toBe(true);
    expect(sleeps(REGISTERS, 2)).toBe(false);
  });
});
