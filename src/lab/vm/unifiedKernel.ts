/**
 * Owns reading a section of a unified kernel image (PE/COFF, systemd's UKI specification): `.linux` is the kernel,
 * `.cmdline` its command line. Pure. Does not own making one.
 */
import { BranchboxError } from '../../model/errors.ts';

/** Offset of the PE header's own offset in the DOS header; sizes of the COFF header and of a section's entry. */
const PE_POINTER = 0x3c;
const COFF_HEADER_BYTES = 24;
const SECTION_BYTES = 40;

/** The section's content, without the padding to the file's alignment. */
export function sectionOf(image: Uint8Array, name: string): Uint8Array {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const malformed = (why: string): BranchboxError =>
    new BranchboxError('model/invalid', { message: `this is no unified kernel image: ${why}` });
  if (image.length < PE_POINTER + 4) throw malformed('it is too short');
  const pe = view.getUint32(PE_POINTER, true);
  if (pe + COFF_HEADER_BYTES > image.length || view.getUint32(pe, true) !== 0x4550)
    throw malformed('it has no PE header');
  const count = view.getUint16(pe + 6, true);
  const table = pe + COFF_HEADER_BYTES + view.getUint16(pe + 20, true);
  if (table + count * SECTION_BYTES > image.length) throw malformed('its section table is cut off');
  for (let index = 0; index < count; index += 1) {
    const at = table + index * SECTION_BYTES;
    const label = Buffer.from(image.subarray(at, at + 8))
      .toString('latin1')
      .replace(/\0+$/, '');
    if (label !== name) continue;
    const virtualBytes = view.getUint32(at + 8, true);
    const fileBytes = view.getUint32(at + 16, true);
    const from = view.getUint32(at + 20, true);
    const to = from + Math.min(virtualBytes, fileBytes);
    if (to > image.length) throw malformed(`section ${name} is cut off`);
    return image.subarray(from, to);
  }
  throw malformed(`it has no section ${name}`);
}
