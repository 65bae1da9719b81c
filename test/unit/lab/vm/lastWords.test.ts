import { describe, expect, it } from 'vitest';
import { lastLines, processorsIn } from '../../../../src/lab/vm/lastWords.ts';

describe('last words of a machine', () => {
  it('are what it printed last, as text', () => {
    expect(lastLines('a\r\n\u001b[31mb\u001b[0m  \r\n\r\nc\n', 2)).toEqual(['b', 'c']);
    expect(lastLines('', 2)).toEqual([]);
  });

  it('tell where its processors stand', () => {
    const registers = [
      'CPU#0',
      'RAX=0000000000000000 RBX=ffffffff82a1a900',
      'RIP=ffffffff81e0f2ab RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1',
      'CPU#1',
      'RIP=000000007eec1f05 RFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=1 HLT=0',
    ].join('\r\n');
    expect(processorsIn(registers)).toEqual([
      'processor 0 sleeps at ffffffff81e0f2ab',
      'processor 1 runs at 000000007eec1f05',
    ]);
    expect(processorsIn('')).toEqual([]);
  });
});
