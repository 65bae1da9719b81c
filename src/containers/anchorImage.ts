/**
 * Owns the image of anchors: a tar with one program of 129 bytes that waits for ever. Made here, so that a box
 * needs no registry and no archive for it, and an anchor costs a page of memory and not a shell's.
 * Does not own when it is given to the engine (anchors). Pure.
 */

const BASE_ADDRESS = 0x40_0000;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
/** `for (;;) pause();` on x86-64, the one architecture boxes have: mov eax,34; syscall; jmp back. */
const CODE = [0xb8, 0x22, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xeb, 0xf7];
export const PAUSE_PATH = 'pause';

/** A static ELF64 of one loadable segment (System V ABI, AMD64 supplement, chapter 4). */
export function pauseProgram(): Uint8Array {
  const codeOffset = HEADER_BYTES + PROGRAM_HEADER_BYTES;
  const sizeBytes = codeOffset + CODE.length;
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  // e_ident: magic, 64 bit, little endian, version 1.
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // e_type: executable
  view.setUint16(18, 62, true); // e_machine: x86-64
  view.setUint32(20, 1, true); // e_version
  view.setBigUint64(24, BigInt(BASE_ADDRESS + codeOffset), true); // e_entry
  view.setBigUint64(32, BigInt(HEADER_BYTES), true); // e_phoff
  view.setUint16(52, HEADER_BYTES, true);
  view.setUint16(54, PROGRAM_HEADER_BYTES, true);
  view.setUint16(56, 1, true); // e_phnum
  const program = HEADER_BYTES;
  view.setUint32(program, 1, true); // p_type: load
  view.setUint32(program + 4, 5, true); // p_flags: read, execute
  view.setBigUint64(program + 16, BigInt(BASE_ADDRESS), true); // p_vaddr
  view.setBigUint64(program + 24, BigInt(BASE_ADDRESS), true); // p_paddr
  view.setBigUint64(program + 32, BigInt(sizeBytes), true); // p_filesz
  view.setBigUint64(program + 40, BigInt(sizeBytes), true); // p_memsz
  view.setBigUint64(program + 48, 0x1000n, true); // p_align
  bytes.set(CODE, codeOffset);
  return bytes;
}

const TAR_BLOCK_BYTES = 512;

/** ustar (POSIX.1-1988) of one executable file, the same bytes every time. */
export function anchorImageTar(): Uint8Array {
  const content = pauseProgram();
  const contentBlocks = Math.ceil(content.length / TAR_BLOCK_BYTES);
  // Header, content, and two empty blocks for the end.
  const tar = new Uint8Array(TAR_BLOCK_BYTES * (1 + contentBlocks + 2));
  const write = (offset: number, text: string): void => tar.set(new TextEncoder().encode(text), offset);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  write(0, PAUSE_PATH);
  write(100, octal(0o755, 8));
  write(108, octal(0, 8));
  write(116, octal(0, 8));
  write(124, octal(content.length, 12));
  write(136, octal(0, 12));
  write(148, ' '.repeat(8));
  write(156, '0');
  write(257, 'ustar\u000000');
  const sum = tar.subarray(0, TAR_BLOCK_BYTES).reduce((total, byte) => total + byte, 0);
  write(148, `${sum.toString(8).padStart(6, '0')}\0 `);
  tar.set(content, TAR_BLOCK_BYTES);
  return tar;
}
