/**
 * Owns giving up a source that answers but brings nothing new, where it does not say itself how much it has: after a
 * dropped line the fetch goes on, but a part that ends at the same place each time is not what was named.
 * Does not own when it is asked again.
 */
import { wrong } from './fetchPart.ts';
import type { PartBytes, PartSource } from './ports.ts';

/** In a row: with the pauses between them a quarter of an hour. */
const MAX_FRUITLESS = 8;

/** Made once, for sources of any name: what it counts is of one part of one of them at a time. */
export function createFruitless(): (source: PartSource) => PartSource {
  let last = '';
  let tries = 0;
  return (source) => ({
    name: source.name,
    async open(part, fromBytes, signal, pieceBytes) {
      const key = `${part.sha256} ${source.name}`;
      if (key !== last) [last, tries] = [key, 0];
      if (tries >= MAX_FRUITLESS) {
        tries = 0;
        throw wrong(
          `${part.file} from ${source.name} is named with ${part.sizeBytes} bytes, and after ${fromBytes} none came in ${MAX_FRUITLESS} tries`,
        );
      }
      const opened = await source.open(part, fromBytes, signal, pieceBytes);
      const counted = async function* (): PartBytes['chunks'] {
        let newBytes = -opened.skipBytes;
        try {
          for await (const chunk of opened.chunks) {
            newBytes += chunk.length;
            yield chunk;
          }
        } finally {
          if (newBytes > 0) tries = 0;
          // A window that closed says nothing of the source.
          else if (!signal.aborted) tries += 1;
        }
      };
      return { skipBytes: opened.skipBytes, chunks: counted() };
    },
  });
}
