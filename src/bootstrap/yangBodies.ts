/**
 * Owns the bodies of what a box says to a bootstrap server and hears of it, in the encoding that the server has (RFC 8040
 * 5.2): JSON, or XML where it takes no other. Does not own the messages (model/sztp.ts) nor where they go (restconfRoot.ts).
 */
import type { z } from 'zod';
import { decode, decodeJson } from '../model/decode.ts';
import {
  asRegistered,
  type GetBootstrappingDataRequest,
  type ReportProgressRequest,
  RestconfErrors,
  SZTP_MEDIA_TYPE,
  SZTP_XML_MEDIA_TYPE,
} from '../model/sztp.ts';
import { xmlOfYang, yangOfXml } from '../model/yangXml.ts';
import type { Answer, Exchange } from './https.ts';
import type { Operation, Operations } from './restconfRoot.ts';

/** Three artefacts in base64, some 20 KB together in practice. */
const MAX_ANSWER_BYTES = 512 * 1024;
/** Unsupported Media Type, Not Acceptable: the server has another encoding. */
const OTHER_ENCODING: readonly number[] = [415, 406];
const XML_TYPES: readonly string[] = [SZTP_XML_MEDIA_TYPE, 'application/xml', 'text/xml'];
const JSON_TYPES: readonly string[] = [SZTP_MEDIA_TYPE, 'application/json'];
/** From servers that set no type: none, or what Go's net/http guesses. */
const NAMELESS_TYPES: readonly string[] = ['', 'text/plain'];

type Request = GetBootstrappingDataRequest | ReportProgressRequest;
type Asking = Pick<Exchange, 'server' | 'uplink' | 'identity' | 'peer'>;

/** In JSON, which every RESTCONF server of today has, and once more in XML where this one has not. */
export async function invokeRpc(
  operations: Operations,
  operation: Operation,
  asking: Asking,
  body: Request,
  signal: AbortSignal,
): Promise<{ readonly answer: Answer; readonly path: string }> {
  const inEncoding = (contentType: string, text: string) => {
    const sent = { method: 'POST', accept: contentType, body: { contentType, text } } as const;
    return operations.invoke(operation, { ...asking, ...sent, maxBytes: MAX_ANSWER_BYTES }, signal);
  };
  const first = await inEncoding(SZTP_MEDIA_TYPE, JSON.stringify(body));
  if (!OTHER_ENCODING.includes(first.answer.status)) return first;
  const second = await inEncoding(SZTP_XML_MEDIA_TYPE, xmlOfYang(body));
  // Of neither: what it said of the common one tells more.
  return OTHER_ENCODING.includes(second.answer.status) ? first : second;
}

/** Whether RESTCONF itself answered. */
export const isYang = ({ contentType }: Pick<Answer, 'contentType'>): boolean =>
  [SZTP_MEDIA_TYPE, SZTP_XML_MEDIA_TYPE].includes(asRegistered(contentType));

export const isReadable = (answer: Body): boolean => encodingOf(answer) !== undefined;

type Body = Pick<Answer, 'contentType' | 'body'>;

/** By its media type; without one by how it begins (RFC 9110 8.3). Nothing is believed for its type. */
function encodingOf({ contentType, body }: Body): 'json' | 'xml' | undefined {
  const type = asRegistered(contentType);
  if (JSON_TYPES.includes(type)) return 'json';
  if (XML_TYPES.includes(type)) return 'xml';
  if (!NAMELESS_TYPES.includes(type)) return undefined;
  // A mark before UTF-8 counts as white space.
  const begin = Buffer.from(body.subarray(0, 64)).toString('utf8').trimStart();
  if (begin.startsWith('{')) return 'json';
  return /^<(?!!doctype|html)/i.test(begin) ? 'xml' : undefined;
}

/** Throws model/invalid. */
export function decodeBody<S extends z.ZodType>(schema: S, answer: Body, what: string): z.output<S> {
  const text = Buffer.from(answer.body).toString('utf8');
  return encodingOf(answer) === 'xml'
    ? decode(schema, yangOfXml(text, what, MAX_ANSWER_BYTES), what)
    : decodeJson(schema, text, what);
}

/** What RESTCONF says of a refusal (RFC 8040 7.1), where this is one. */
export function firstError(
  answer: Answer,
): RestconfErrors['ietf-restconf:errors']['error'][number] | undefined {
  try {
    return decodeBody(RestconfErrors, answer, 'The errors')['ietf-restconf:errors'].error[0];
  } catch {
    return undefined;
  }
}
