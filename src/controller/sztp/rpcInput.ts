/**
 * Owns reading the input of the bootstrap server's operations as their YANG has it (RFC 8572 7.3 in JSON of RFC 7951, or
 * in XML), and naming what is wrong with one in RESTCONF's words (RFC 8040 7): malformed, missing, unknown, invalid, and where.
 * Does not own what is done with it (bootstrapServer.ts).
 */
import { z } from 'zod';
import { BoxClaims } from '../../model/assignment.ts';
import { decodeJson } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import { NONCE_BYTES, ProgressType, SZTP_XML_MEDIA_TYPE } from '../../model/sztp.ts';
import { yangBinary } from '../../model/yangBinary.ts';
import { yangOfXml } from '../../model/yangXml.ts';
import { type Encoding, errorsAnswer, refusal, type RestconfError, type YangAnswer } from './answers.ts';

const MODULE = 'ietf-sztp-bootstrap-server';
const INPUT = `${MODULE}:input`;
const MAX_TEXT = 1024;
const MAX_ERRORS = 16;
/** As much as the server reads of a body. */
const MAX_TEXT_CHARS = 64 * 1024;

// YANG sets no length: the beginning is kept.
const Text = z.string().transform((text) => text.slice(0, MAX_TEXT));
/** No message holds more. */
const Binary = yangBinary(MAX_TEXT_CHARS);
const Nonce = Binary.transform((text) => Uint8Array.from(Buffer.from(text, 'base64'))).refine(
  ({ length }) => length >= NONCE_BYTES.min && length <= NONCE_BYTES.max,
  `a nonce has ${NONCE_BYTES.min} to ${NONCE_BYTES.max} bytes`,
);

const BootstrappingInput = z.strictObject({
  'signed-data-preferred': z.tuple([z.null()]).optional(),
  'hw-model': Text.optional(),
  'os-name': Text.optional(),
  'os-version': Text.optional(),
  nonce: Nonce.optional(),
  'branchbox-sztp:claims': BoxClaims.optional(),
});
type BootstrappingInput = z.output<typeof BootstrappingInput>;

const AT_THE_END = ['ssh-host-keys', 'trust-anchor-certs'] as const;
const ReportInput = z
  .strictObject({
    'progress-type': ProgressType,
    message: Text.optional(),
    // Looked at, and not held: no box of ours is reached by SSH or TLS from here.
    'ssh-host-keys': z
      .strictObject({
        'ssh-host-key': z.array(z.strictObject({ algorithm: z.string(), 'key-data': Binary })).optional(),
      })
      .optional(),
    'trust-anchor-certs': z.strictObject({ 'trust-anchor-cert': z.array(Binary).optional() }).optional(),
  })
  .superRefine((input, context) => {
    if (input['progress-type'] === 'bootstrap-complete') return;
    // `when` of the module: before the end there are no such nodes (RFC 7950 8.3.1).
    const keys = AT_THE_END.filter((name) => input[name] !== undefined);
    if (keys.length > 0) context.addIssue({ code: 'unrecognized_keys', keys, input });
  });
type ReportInput = z.output<typeof ReportInput>;

export interface Input {
  readonly text: string;
  readonly encoding: Encoding;
}

export type Read<T> = { readonly input: T } | { readonly refused: YangAnswer };

/** None of its nodes is mandatory, so there may be no body (RFC 8040 3.6.1). */
export function readBootstrappingInput(sent: Input): Read<BootstrappingInput> {
  return sent.text.trim() === '' ? { input: {} } : read(BootstrappingInput, sent);
}

export function readReportInput(sent: Input): Read<ReportInput> {
  return read(ReportInput, sent);
}

function read<T>(schema: z.ZodType<T>, { text, encoding }: Input): Read<T> {
  let document: unknown;
  try {
    document =
      encoding === SZTP_XML_MEDIA_TYPE
        ? yangOfXml(text, 'the request', MAX_TEXT_CHARS)
        : decodeJson(z.unknown(), text, 'the request');
  } catch (thrown) {
    if (!(thrown instanceof BranchboxError)) throw thrown;
    return { refused: refusal(400, 'malformed-message', thrown.message) };
  }
  if (!isObject(document))
    return { refused: refusal(400, 'malformed-message', 'the request is no JSON object') };
  const result = z.strictObject({ [INPUT]: schema }).safeParse(withoutAugmentations(document));
  if (result.success) {
    const input = result.data[INPUT];
    if (input !== undefined) return { input };
  }
  const issues = result.error?.issues ?? [];
  const errors = issues.flatMap((issue) => errorsOf(issue, document)).slice(0, MAX_ERRORS);
  return { refused: errorsAnswer(400, errors) };
}

/**
 * Nodes that other modules add to the input are passed over, although a server of YANG alone would not know them: RFC 9646
 * adds such, and a client that offers more than is used here is served all the same.
 */
function withoutAugmentations(document: Readonly<Record<string, unknown>>): unknown {
  const input = document[INPUT];
  if (!isObject(input)) return document;
  const isOurs = (name: string): boolean =>
    !name.includes(':') || name.startsWith(`${MODULE}:`) || name.startsWith('branchbox-sztp:');
  return {
    ...document,
    [INPUT]: Object.fromEntries(Object.entries(input).filter(([name]) => isOurs(name))),
  };
}

function errorsOf(issue: z.core.$ZodIssue, document: unknown): readonly RestconfError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      'error-type': 'protocol',
      'error-tag': 'unknown-element',
      'error-path': pathOf([...issue.path, key]),
      'error-message':
        issue.path.length === 0 ? `a request is an object with ${INPUT} alone` : 'there is no such node',
    }));
  }
  const isMissing = valueAt(document, issue.path) === undefined;
  return [
    {
      'error-type': 'protocol',
      'error-tag': isMissing ? 'missing-element' : 'invalid-value',
      'error-path': pathOf(issue.path),
      'error-message': isMissing ? 'is missing' : issue.message,
    },
  ];
}

const MAX_NAME = 64;
/** As the example of RFC 8040 3.6.3 has it: `/module:input/node`; entries of a list by their position, from 1. */
const pathOf = (path: readonly PropertyKey[]): string =>
  path
    .map((part) => (typeof part === 'number' ? `[${part + 1}]` : `/${String(part).slice(0, MAX_NAME)}`))
    .join('') || '/';

const valueAt = (document: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (at, part) => (typeof at === 'object' && at !== null ? (Reflect.get(at, part) as unknown) : undefined),
    document,
  );
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
