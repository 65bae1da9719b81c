/**
 * Owns a source of firmware parts that breaks off where a test says. Real ones: test/lab/firmwareServer.ts.
 */
import { BranchboxError } from '../../src/model/errors.ts';
import type { PartSource } from '../../src/update/ports.ts';
import type { Version } from './firmwareVersion.ts';

/** Hands parts out in chunks; each use takes the next of `drops` as the byte after which the line goes dead. */
export function createFakeSource(
  version: Version,
  chunkBytes: number,
  drops: readonly number[] = [],
): PartSource {
  let uses = 0;
  return {
    name: 'a fake',
    async open(part, fromBytes) {
      const drop = drops[(uses += 1) - 1] ?? Number.POSITIVE_INFINITY;
      const bytes = version.bytes[part.role].subarray(fromBytes);
      const chunks = (async function* () {
        for (let at = 0; at < bytes.length; at += chunkBytes) {
          if (at >= drop) throw new BranchboxError('firmware/source', { message: 'the line went dead' });
          yield bytes.subarray(at, at + chunkBytes);
        }
      })();
      return { skipBytes: 0, chunks };
    },
  };
}
