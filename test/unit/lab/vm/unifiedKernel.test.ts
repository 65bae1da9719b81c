import { describe, expect, it } from 'vitest';
import { sectionOf } from '../../../../src/lab/vm/unifiedKernel.ts';

/** A PE file of nothing but headers and one section, by the COFF specification. */
function image(options: {
  readonly name: string;
  readonly content: string;
  readonly padding: number;
}): Buffer {
  const file = Buffer.alloc(0x40 + 24 + 16 + 40);
  file.write('MZ');
  file.writeUInt32LE(0x40, 0x3c);
  file.write('PE\0\0', 0x40);
  file.writeUInt16LE(1, 0x46);
  file.writeUInt16LE(16, 0x54);
  const at = 0x40 + 24 + 16;
  file.write(options.name, at);
  file.writeUInt32LE(options.content.length, at + 8);
  file.writeUInt32LE(options.content.length + options.padding, at + 16);
  file.writeUInt32LE(file.length, at + 20);
  return Buffer.concat([file, Buffer.from(options.content), Buffer.alloc(options.padding)]);
}

describe('a section of a unified kernel image', () => {
  const whole = image({ name: '.linux', content: 'the kernel', padding: 22 });

  it('is its content without the padding', () => {
    expect(Buffer.from(sectionOf(whole, '.linux')).toString()).toBe('the kernel');
  });

  it('is an error where it is not there, or the file is none', () => {
    expect(() => sectionOf(whole, '.initrd')).toThrow(/no section .initrd/);
    expect(() => sectionOf(whole.subarray(0, whole.length - 23), '.linux')).toThrow(/cut off/);
    expect(() => sectionOf(whole.subarray(0, 90), '.linux')).toThrow(/cut off/);
    expect(() => sectionOf(Buffer.alloc(8), '.linux')).toThrow(/too short/);
    expect(() => sectionOf(Buffer.alloc(200), '.linux')).toThrow(/no PE header/);
  });
});
