/**
 * Owns what a request asks for, as far as its line and headers say: which page, or why it is turned away. Pure. Every
 * name leads to this box, so a page of another site that is still open in the phone reaches this server under that
 * site's name. Pages are therefore served under two names alone, the box's address and INSTALLER_NAME, which nobody
 * else can have; a request by any other name is sent to the address, where that site's scripts may not read.
 */
import { ACTIVATION_PATH, ActivationLinkId, INSTALLER_NAME } from '../../model/installer.ts';

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Sec-Fetch-Site. */
  readonly fetchSite: string | undefined;
  readonly contentType: string | undefined;
}

export type Asked =
  | { readonly kind: 'status' }
  | { readonly kind: 'form'; readonly link: string | undefined }
  | { readonly kind: 'offer' }
  | { readonly kind: 'elsewhere'; readonly location: string }
  | {
      readonly kind: 'refused';
      readonly status: RefusedStatus;
      readonly sentence: string;
      /** What 405 and 415 must say beside it (RFC 9110 15.5.6, 15.5.16). */
      readonly headers?: Readonly<Record<string, string>>;
    };

type RefusedStatus = 400 | 403 | 404 | 405 | 415;

const FORM = 'application/x-www-form-urlencoded';

export function readRequest(head: RequestHead, ownAddress: string): Asked {
  const host = head.host?.toLowerCase().replace(/:80$/, '').replace(/\.$/, '');
  const isReading = head.method === 'GET' || head.method === 'HEAD';
  if (host !== ownAddress && host !== INSTALLER_NAME) {
    if (isReading) return { kind: 'elsewhere', location: `http://${ownAddress}/` };
    return refused(403, 'This box takes nothing under another name than its own.');
  }
  const base = `http://${host}`;
  const url = URL.canParse(head.target, base) ? new URL(head.target, base) : undefined;
  // An absolute target names its own host.
  if (url?.host !== host) return refused(400, 'This is no address of this box.');
  if (url.pathname === '/') {
    return isReading
      ? { kind: 'status' }
      : refused(405, 'This page can only be read.', { Allow: 'GET, HEAD' });
  }
  if (url.pathname.replace(/\/$/, '') !== ACTIVATION_PATH)
    return refused(404, 'There is no such page on this box.');
  if (isReading) {
    const given = url.searchParams.get('link');
    if (given === null) return { kind: 'form', link: undefined };
    // Mails break a link into lines, and take the full stop or bracket behind it along.
    const link = given.replaceAll(/[^A-Za-z0-9_-]/g, '');
    if (ActivationLinkId.safeParse(link).success) return { kind: 'form', link };
    return refused(400, 'The link is not whole: copy all of it from the mail.');
  }
  if (head.method !== 'POST') {
    return refused(405, 'This page can be read, and a code be sent to it.', { Allow: 'GET, HEAD, POST' });
  }
  const isOwn = head.origin === undefined || head.origin === `http://${host}`;
  const isSameSite = head.fetchSite === undefined || head.fetchSite === 'same-origin';
  if (!isOwn || !isSameSite) return refused(403, 'A code is only taken from this box’s own page.');
  if (head.contentType?.split(';')[0]?.trim().toLowerCase() !== FORM) {
    return refused(415, 'A code is only taken from this box’s own page.', { Accept: FORM });
  }
  return { kind: 'offer' };
}

const refused = (
  status: RefusedStatus,
  sentence: string,
  headers: Readonly<Record<string, string>> = {},
): Asked => ({ kind: 'refused', status, sentence, headers });
