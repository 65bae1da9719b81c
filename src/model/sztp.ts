/**
 * Owns the messages of RFC 8572 as JSON, as box and controller exchange them: the two RPCs, their errors, and
 * what conveyed information says. Does not own signatures (pki/conveyed), what an owner is (bootstrap.ts), nor the same
 * messages in XML (yangXml.ts).
 *
 * How an owner travels: `configuration` of the onboarding information is base64 of the JSON text of `Owner`.
 */
import { z } from 'zod';
import { IpAddress } from './addresses.ts';
import { BoxClaims } from './assignment.ts';
import { yangBinary } from './yangBinary.ts';

export const SZTP_MEDIA_TYPE = 'application/yang-data+json';
/** The other encoding of RESTCONF (RFC 8040 5.2), which somebody else's client or server may have alone. */
export const SZTP_XML_MEDIA_TYPE = 'application/yang-data+xml';
/** RFC 8572's own examples spell both types with a dot, and so do clients and servers that followed them. Of a header. Pure. */
export const asRegistered = (header: string): string =>
  header.replaceAll(/\bapplication\/yang\.data\+/gi, 'application/yang-data+');
export const SZTP_GET_PATH = '/restconf/operations/ietf-sztp-bootstrap-server:get-bootstrapping-data';
export const SZTP_REPORT_PATH = '/restconf/operations/ietf-sztp-bootstrap-server:report-progress';

/** RFC 8572 7.3. In a voucher there may be shorter ones (RFC 8366 5.3: pki/voucher.ts), of other protocols than this. */
export const NONCE_BYTES = { min: 16, max: 32 } as const;

/** One signed artefact; the biggest is a voucher with its chain, some 6 KB. */
const MAX_ARTEFACT_BASE64 = 256 * 1024;
const Script = yangBinary(MAX_ARTEFACT_BASE64);
const Artefact = Script.refine((text) => text !== '', 'is empty');
/** RFC 7951 6.9: a YANG `empty` leaf is `[null]`. */
const Empty = z.tuple([z.null()]);
const Text = z.string().max(1024);

/** RFC 8572 7.3, input of get-bootstrapping-data. */
export const GetBootstrappingDataRequest = z.object({
  'ietf-sztp-bootstrap-server:input': z.object({
    'signed-data-preferred': Empty.optional(),
    'hw-model': Text.optional(),
    'os-name': Text.optional(),
    'os-version': Text.optional(),
    nonce: z.base64().max(64).optional(),
    /** Our augmentation (docs/branchbox-sztp.yang); sent where a server asks for it alone, so that no other trips over it. */
    'branchbox-sztp:claims': BoxClaims.optional(),
  }),
});
export type GetBootstrappingDataRequest = z.output<typeof GetBootstrappingDataRequest>;

/** RFC 8572 7.3, output: each artefact is CMS, DER, base64. Members that we do not know are passed over. */
export const GetBootstrappingDataResponse = z.object({
  'ietf-sztp-bootstrap-server:output': z.object({
    'reporting-level': z.enum(['minimal', 'verbose']).optional(),
    'conveyed-information': Artefact,
    'owner-certificate': Artefact.optional(),
    'ownership-voucher': Artefact.optional(),
  }),
});
export type GetBootstrappingDataResponse = z.output<typeof GetBootstrappingDataResponse>;

/** RFC 8572 2.1: where else to ask. A box takes so many of them, the first. */
export const MAX_REDIRECT_SERVERS = 16;
/** YANG sets no end to the list: this is what one message holds. */
const MAX_LISTED = 1024;
/** inet:domain-name (RFC 6991): underscores, the dot at the end that a zone file has, and that dot alone. */
const RedirectName = z
  .string()
  .max(254)
  .regex(/^(?:[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62}(?:\.[a-zA-Z0-9_][a-zA-Z0-9_-]{0,62})*\.?|\.)$/, 'a DNS name');
/** inet:ip-address, with the interface that only its writer knows (RFC 6991, RFC 9911). */
const ZonedAddress = z
  .string()
  .max(254)
  .regex(/^[^%]+%[\p{N}\p{L}][\p{N}\p{L}._~/-]*$/u, 'an IP address with a zone')
  .refine((text) => IpAddress.safeParse(text.replace(/%.*$/, '')).success, 'an IP address with a zone');
/** All that its YANG lets stand: what a box can make no use of it passes over, and asks the others. */
export const RedirectInformation = z.object({
  'ietf-sztp-conveyed-info:redirect-information': z.object({
    'bootstrap-server': z
      .array(
        z.object({
          address: z.union([IpAddress, ZonedAddress, RedirectName]),
          port: z.int().min(0).max(65_535).default(443),
          /** certs-only CMS; counts only where the whole is signed. */
          'trust-anchor': Artefact.optional(),
        }),
      )
      .min(1)
      .max(MAX_LISTED),
  }),
});
export type RedirectInformation = z.output<typeof RedirectInformation>;

/** RFC 8572 6.3, whole: what a box does of it is for it to say, and what it does not do it must not overlook. */
export const OnboardingInformation = z.object({
  'ietf-sztp-conveyed-info:onboarding-information': z
    .object({
      'boot-image': z
        .object({
          'os-name': Text.optional(),
          'os-version': Text.optional(),
          'download-uri': z.array(Text).max(64).optional(),
          'image-verification': z
            .array(z.object({ 'hash-algorithm': Text, 'hash-value': Text }))
            .max(16)
            .optional(),
        })
        .optional(),
      'configuration-handling': z.enum(['merge', 'replace']).optional(),
      'pre-configuration-script': Script.optional(),
      configuration: Artefact.optional(),
      'post-configuration-script': Script.optional(),
    })
    .refine(
      (information) =>
        (information.configuration === undefined) === (information['configuration-handling'] === undefined),
      'configuration and configuration-handling go together (RFC 8572 6.3)',
    ),
});
export type OnboardingInformation = z.output<typeof OnboardingInformation>;

/** Progress types, all of RFC 8572 7.3. */
export const ProgressType = z.enum([
  'bootstrap-initiated',
  'parsing-initiated',
  'parsing-warning',
  'parsing-error',
  'parsing-complete',
  'boot-image-initiated',
  'boot-image-warning',
  'boot-image-error',
  'boot-image-mismatch',
  'boot-image-installed-rebooting',
  'boot-image-complete',
  'pre-script-initiated',
  'pre-script-warning',
  'pre-script-error',
  'pre-script-complete',
  'config-initiated',
  'config-warning',
  'config-error',
  'config-complete',
  'post-script-initiated',
  'post-script-warning',
  'post-script-error',
  'post-script-complete',
  'bootstrap-warning',
  'bootstrap-error',
  'bootstrap-complete',
  'informational',
]);
export type ProgressType = z.output<typeof ProgressType>;

export const ReportProgressRequest = z.object({
  'ietf-sztp-bootstrap-server:input': z.object({
    'progress-type': ProgressType,
    message: Text.optional(),
  }),
});
export type ReportProgressRequest = z.output<typeof ReportProgressRequest>;

/** `error-app-tag`: the server has a rule that would look at what the box says of itself. */
export const CLAIMS_WANTED = 'branchbox-sztp:claims-wanted';

/** RFC 8040 8 sets no length: of what is for a person the beginning is kept. */
const said = (maxChars: number) => z.string().transform((text) => text.slice(0, maxChars));

/** RFC 8040 7.1: what a RESTCONF server answers instead. */
export const RestconfErrors = z.object({
  'ietf-restconf:errors': z.object({
    error: z
      .array(
        z.object({
          'error-type': z.enum(['transport', 'rpc', 'protocol', 'application']),
          'error-tag': said(64),
          'error-app-tag': said(64).optional(),
          'error-path': said(4096).optional(),
          'error-message': said(1024).optional(),
        }),
      )
      .min(1),
  }),
});
export type RestconfErrors = z.output<typeof RestconfErrors>;
