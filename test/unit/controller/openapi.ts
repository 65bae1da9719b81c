/**
 * Owns holding the API against its own description: the description against the parts of OpenAPI 3.1.0 that it uses
 * (what is not named here is a mistake), and each answer against what is described of it.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { z } from 'zod';

/** 4.8.24: JSON Schema 2020-12; held by ajv, which knows its meta-schema. */
const Schema = z.record(z.string(), z.unknown());
/** 4.8.14. Bytes have none: their media type says all. */
const Content = z.record(
  z.string().regex(/^[a-z]+\/[a-z0-9.+-]+$/),
  z.strictObject({ schema: Schema.refine((schema) => Object.keys(schema).length > 0).optional() }),
);
const Sentence = z
  .string()
  .min(3)
  .refine((text) => text !== 'Default Response', 'says nothing');
/** 4.8.17, 4.8.21. */
const Response = z.strictObject({
  description: Sentence,
  headers: z.record(z.string(), z.strictObject({ description: Sentence, schema: Schema })).optional(),
  content: Content.optional(),
});
/** 4.8.10. */
const Operation = z.strictObject({
  operationId: z.string().regex(/^[a-z][A-Za-z]+$/),
  summary: Sentence,
  parameters: z
    .array(
      z.strictObject({
        in: z.enum(['path', 'query', 'header']),
        name: z.string(),
        description: Sentence.optional(),
        required: z.boolean(),
        schema: Schema,
      }),
    )
    .optional(),
  requestBody: z.strictObject({ required: z.boolean(), content: Content }).optional(),
  responses: z.record(z.string().regex(/^[1-5](\d\d|XX)$/), Response),
  security: z.array(z.record(z.string(), z.array(z.string()))).optional(),
});
const Methods = z.enum(['get', 'put', 'post', 'patch', 'delete']);
/** 4.8.1. */
export const Description = z.strictObject({
  openapi: z.literal('3.1.0'),
  info: z.strictObject({ title: Sentence, version: z.string(), description: Sentence }),
  components: z.strictObject({
    securitySchemes: z.strictObject({
      admin: z.strictObject({ type: z.literal('http'), scheme: z.literal('bearer') }),
    }),
    schemas: z.strictObject({}).optional(),
  }),
  security: z.tuple([z.strictObject({ admin: z.tuple([]) })]),
  paths: z.record(z.string().regex(/^\//), z.partialRecord(Methods, Operation)),
});
export type Description = z.output<typeof Description>;

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Headers that are said of an answer wherever they come, and come wherever they are said. */
const HEADERS = ['etag', 'www-authenticate', 'accept', 'accept-patch', 'accept-encoding'];

/** Throws where an answer is not as described. Of what is not described at all (no such path or method) nothing is held. */
export function createAnswerCheck(described: unknown) {
  const description = Description.parse(described);
  // Whether each schema is one is a test of its own (api.test.ts): compiling the meta-schema takes long.
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true, validateSchema: false });
  return (method: string, url: string, answer: Answer): void => {
    const path = url.split('?')[0] ?? '';
    const operation = operationOf(description, method === 'HEAD' ? 'get' : method.toLowerCase(), path);
    if (operation === undefined || answer.status === 405) return;
    const { status, headers, text } = answer;
    const fail = (why: string): never => {
      throw new Error(`${method} ${url} answered ${status}: ${why}`);
    };
    const response = operation.responses[status] ?? operation.responses[`${Math.floor(status / 100)}XX`];
    if (response === undefined) return fail('no such status is described');
    const named = Object.keys(response.headers ?? {}).map((name) => name.toLowerCase());
    for (const name of HEADERS) {
      if (named.includes(name) !== (headers[name] !== undefined))
        fail(`the header ${name} ${named.includes(name) ? 'is described' : 'is not described'}`);
    }
    if (method === 'HEAD') return undefined;
    if (response.content === undefined) return text === '' ? undefined : fail('no body is described');
    const type = String(headers['content-type']).split(';')[0] ?? '';
    const media = response.content[type];
    if (media === undefined) return fail(`a body of ${type} is not described`);
    if (media.schema === undefined || !type.includes('json')) return undefined;
    if (!ajv.validate(media.schema, JSON.parse(text))) fail(ajv.errorsText());
    return undefined;
  };
}

/** A path without a parameter counts before one with (4.8.8.2). */
function operationOf(description: Description, method: string, path: string) {
  const found = Object.entries(description.paths)
    .filter(([template]) => {
      const parts = template.split('/');
      const own = path.split('/');
      return parts.length === own.length && parts.every((part, i) => part.startsWith('{') || part === own[i]);
    })
    .toSorted(([a], [b]) => a.split('{').length - b.split('{').length)
    .flatMap(([, operations]) => operations[Methods.safeParse(method).data ?? 'get'] ?? []);
  return found[0];
}
