/**
 * Owns PEM (RFC 7468) around public things: certificates, requests, revocation lists.
 * Does not own private keys' PEM: those go from node:crypto straight into a Secret (keys.ts).
 */
import { parseBase64 } from './base64.ts';
import { malformed } from './der.ts';

/** A bundle of a hundred certificates stays below this. */
const MAX_PEM_CHARS = 512 * 1024;

/** RFC 7468 6. */
export const REVOCATION_LIST_LABEL = 'X509 CRL';

/** The contents of all blocks of that label, in order; other labels are passed over. */
export function fromPem(text: string, label: string, maxChars = MAX_PEM_CHARS): readonly Uint8Array[] {
  if (text.length > maxChars) throw malformed(`PEM text is larger than ${maxChars} characters`);
  const found: Uint8Array[] = [];
  let open: { label: string; body: string } | undefined;
  for (const line of text.split(/\r?\n/)) {
    const boundary = /^-----(BEGIN|END) ([A-Z0-9 ]+)-----\s*$/.exec(line);
    if (boundary === null) {
      if (open !== undefined) open.body += line.trim();
      continue;
    }
    const [, side, name = ''] = boundary;
    if ((side === 'BEGIN') !== (open === undefined) || (open !== undefined && open.label !== name)) {
      throw malformed('PEM text has a block that does not begin or end');
    }
    if (open === undefined) {
      open = { label: name, body: '' };
    } else {
      if (name === label) found.push(parseBase64(open.body, 'A PEM block'));
      open = undefined;
    }
  }
  if (open !== undefined) throw malformed('PEM text ends inside a block');
  return found;
}

export function toPemBlock(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
