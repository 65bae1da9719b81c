/** Owns reading a body to its end under a cap. Does not own what is said of one that is larger. */

/** undefined if the body is larger; the rest is then left unread. */
export async function readCapped(
  body: AsyncIterable<unknown>,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
