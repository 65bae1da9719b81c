/**
 * Owns what conveyed information says (RFC 8572 6.3) once it is opened: a redirect and its servers, or onboarding
 * information and who it names as the owner, in JSON or XML. Pure.
 * Does not own whether it is believed (onboarding.ts), its envelope (pki/conveyed) nor what else it asks for (demands.ts).
 */
import type { z } from 'zod';
import type { Owner } from '../model/bootstrap.ts';
import { decode, decodeJson } from '../model/decode.ts';
import { BranchboxError, type Problem } from '../model/errors.ts';
import { MAX_REDIRECT_SERVERS, OnboardingInformation, RedirectInformation } from '../model/sztp.ts';
import { yangOfXml } from '../model/yangXml.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';
import { parseCertsOnly } from '../pki/cms.ts';
import type { ConveyedFormat } from '../pki/conveyed.ts';
import type { Server } from './discover.ts';

/** Conveyed information is an owner record with one certificate: some 2 KB. */
const MAX_CONTENT_BYTES = 128 * 1024;

export interface RedirectTarget {
  readonly server: Server;
  /** What that server must prove itself by; only where the redirect was signed, or its server had proved itself. */
  readonly anchors: readonly Certificate[] | undefined;
}

export interface RedirectTargets {
  /** The first ones that can be asked, in the order of the list. */
  readonly targets: readonly RedirectTarget[];
  /** Entries that a box can make no use of. */
  readonly passedOver: readonly Problem[];
}

const REDIRECT = 'ietf-sztp-conveyed-info:redirect-information';
const isRedirect = (document: unknown): boolean =>
  typeof document === 'object' && document !== null && REDIRECT in document;

/** Throws model/invalid where it is neither of the two. */
export function readInformation(
  content: Uint8Array,
  format: ConveyedFormat,
): RedirectInformation | OnboardingInformation {
  if (content.length > MAX_CONTENT_BYTES) {
    throw new BranchboxError('model/invalid', {
      message: `The conveyed information is larger than ${MAX_CONTENT_BYTES} bytes`,
    });
  }
  const text = Buffer.from(content).toString('utf8');
  if (format === 'xml') {
    const document = yangOfXml(text, 'The conveyed information', MAX_CONTENT_BYTES);
    return isRedirect(document)
      ? decode(RedirectInformation, document, 'The redirect information')
      : decode(OnboardingInformation, document, 'The onboarding information');
  }
  // Not a union of the two: its problems would name both where one of them was meant.
  return text.includes(REDIRECT)
    ? decodeJson(RedirectInformation, text, 'The redirect information')
    : decodeJson(OnboardingInformation, text, 'The onboarding information');
}

/**
 * `isTrusted`: whoever named them may also say by what they prove themselves. Throws model/invalid where a box can ask none
 * of them.
 */
export function targetsOf(information: RedirectInformation, isTrusted: boolean): RedirectTargets {
  const servers = information[REDIRECT]['bootstrap-server'];
  const targets: RedirectTarget[] = [];
  const passedOver: Problem[] = [];
  for (const [index, entry] of servers.entries()) {
    if (targets.length === MAX_REDIRECT_SERVERS) break;
    const target = targetOf(entry, isTrusted);
    if (typeof target !== 'string') targets.push(target);
    else if (passedOver.length < MAX_REDIRECT_SERVERS)
      passedOver.push({ path: `bootstrap-server[${index}]`, message: target });
  }
  if (targets.length > 0) return { targets, passedOver };
  throw new BranchboxError('model/invalid', {
    message: 'The redirect information names no server that a box can ask',
    problems: passedOver,
  });
}

type Entry = RedirectInformation[typeof REDIRECT]['bootstrap-server'][number];

/** The target of an entry that is valid YANG, or why a box cannot use it; the reason quotes nothing of the entry. */
function targetOf({ address, port, ...entry }: Entry, isTrusted: boolean): RedirectTarget | string {
  if (address.includes('%')) return 'has an address with a zone, which is known to its writer alone';
  // Neither TLS nor a certificate has the dot that may end a name.
  const host = address.replace(/\.$/, '');
  if (host === '') return 'names no host';
  if (port === 0) return 'has port 0, which nobody listens on';
  const anchor = entry['trust-anchor'];
  if (!isTrusted || anchor === undefined) return { server: { host, port }, anchors: undefined };
  try {
    return { server: { host, port }, anchors: anchorsOf(parseCertsOnly(Buffer.from(anchor, 'base64'))) };
  } catch (thrown) {
    if (!(thrown instanceof BranchboxError)) throw thrown;
    // The anchor is never left out instead: whoever named it wants that server to prove itself.
    return `has a trust anchor that cannot be used: ${thrown.message}`;
  }
}

/** Of a chain only the lowest is an anchor (RFC 8572 2.1): its root may have other CAs below it, which nobody named. */
const anchorsOf = (chain: readonly Certificate[]): readonly Certificate[] =>
  chain.filter(
    ({ subjectDer }) =>
      !chain.some(
        (other) =>
          Buffer.from(other.issuerDer).equals(subjectDer) &&
          !Buffer.from(other.subjectDer).equals(subjectDer),
      ),
  );

/** Who the owner is, in `schema`; its domain CA must be the one that is pinned. Throws pki/mismatch or model/invalid. */
export function configurationOf<T extends Owner>(
  schema: z.ZodType<T>,
  information: OnboardingInformation,
  pinned: Certificate,
  by: 'voucher' | 'order' = 'voucher',
): T {
  const configuration = information['ietf-sztp-conveyed-info:onboarding-information'].configuration;
  if (configuration === undefined) {
    throw new BranchboxError('pki/mismatch', {
      message: 'The onboarding information has no configuration, which says who the owner is',
    });
  }
  const text = Buffer.from(configuration, 'base64').toString('utf8');
  const owner = decodeJson(schema, text, 'The onboarding configuration');
  const anchor = parseCertificate(owner.domainAnchorPem);
  if (anchor.fingerprintSha256 !== pinned.fingerprintSha256) {
    throw new BranchboxError('pki/mismatch', {
      message: `The onboarding configuration names another domain CA than the ${by} pinned`,
    });
  }
  return owner;
}
