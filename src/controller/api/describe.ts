/**
 * Owns how the API describes itself (OpenAPI 3.1), from the schemas that decode and encode, and from what all routes have
 * in common. Does not own any route nor its words: each carries its `operationId` and `summary`.
 */
import type { SwaggerOptions, SwaggerTransform, SwaggerTransformObject } from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { z } from 'zod';

/** What these say, whichever route says it. */
const RESPONSES: Readonly<Record<string, string>> = {
  200: 'What is there, after the request',
  201: 'What was made',
  204: 'It is gone',
  304: 'Unchanged since the entity tag that was named',
  401: 'No credential, or a wrong one',
  409: 'What is stored, and which rules of this version it breaks',
  412: 'What is there is not what was named',
  415: 'A media type that is not taken here',
  503: 'Something that is needed is away',
  '4XX': 'Refused: a code, a sentence, what mends it, and each problem by its path',
  '5XX': 'It cannot be done now, or is a defect of ours',
};
const HEADERS: Readonly<Record<string, string>> = {
  ETag: 'Of what was read, for If-Match and If-None-Match',
  'WWW-Authenticate': 'Which credential is asked for (RFC 6750)',
  Accept: 'Media types that are taken',
  'Accept-Encoding': 'Content codings that are taken: none',
  'Accept-Patch': 'Media types that PATCH takes (RFC 5789)',
  Vary: 'Accept, where it decides the form of the answer',
};
/** Parts of one document, the fleet or the domain CAs: what they answer carries its tag. */
const TAGGED = /^\/api\/v1\/(fleet|(tenants|segments|gateways)(\/\{id\})?|domain-cas(\/\{sha256\})?)$/;
const OPTIONAL_BODY = 'x-optional-body';

/** A body that is read as a stream has no schema to decode by, and is described by its media types. */
const describeRoute: SwaggerTransform = (route) => {
  const described = jsonSchemaTransform(route);
  const { schema } = described;
  const { body } = route.schema;
  if (body instanceof z.ZodType && body.safeParse(undefined).success) {
    return { ...described, schema: { ...schema, [OPTIONAL_BODY]: true } };
  }
  if (schema.consumes === undefined || schema.body !== undefined) return described;
  return { ...described, schema: { ...schema, body: {} } };
};

interface Content {
  readonly schema?: object;
}
interface Response {
  description: string;
  headers?: Record<string, object>;
  content?: Record<string, Content>;
}
interface Operation {
  parameters?: object[];
  requestBody?: { required?: boolean; content: Record<string, Content> };
  responses: Record<string, Response>;
  security?: readonly object[];
  [OPTIONAL_BODY]?: boolean;
}

/** Changes the operation in place: it was made for this. */
function complete(path: string, method: string, operation: Operation): void {
  const { responses, requestBody } = operation;
  const isTagged = TAGGED.test(path);
  const isRead = method === 'get';
  const refusal = responses['4XX']?.content;
  const add = (status: number, more: Partial<Response> = {}): void => {
    responses[status] ??= { description: '', ...more };
  };
  if (operation.security?.length !== 0) {
    add(401, {
      headers: headersOf('WWW-Authenticate'),
      ...(refusal === undefined ? {} : { content: refusal }),
    });
  }
  if (isTagged && isRead) {
    add(304, { headers: headersOf('ETag') });
    operation.parameters = [
      ...(operation.parameters ?? []),
      { in: 'header', name: 'if-none-match', required: false, schema: { type: 'string' } },
    ];
  }
  if (isTagged && !isRead) add(412, refusal === undefined ? {} : { content: refusal });
  if (!isRead) {
    const headers = headersOf('Accept', 'Accept-Encoding', ...(method === 'patch' ? ['Accept-Patch'] : []));
    add(415, { headers, ...(refusal === undefined ? {} : { content: refusal }) });
  }
  if (requestBody !== undefined) {
    if (operation[OPTIONAL_BODY] === true) requestBody.required = false;
    requestBody.content = withoutEmptySchemas(requestBody.content);
  }
  delete operation[OPTIONAL_BODY];
  for (const [status, response] of Object.entries(responses)) {
    response.description = RESPONSES[status] ?? response.description;
    if (status === '204') delete response.content;
    else if (response.content !== undefined) response.content = withoutEmptySchemas(response.content);
    // 409 is said of nothing but a fleet that is shown as it is stored.
    if (isTagged && (status.startsWith('2') || status === '409')) {
      const names = ['ETag', ...(Object.keys(response.content ?? {}).length > 1 ? ['Vary'] : [])];
      response.headers = headersOf(...names);
    }
  }
}

/** Bytes are described by their media type alone (OpenAPI 3.1.0, 4.8.14.2). */
const withoutEmptySchemas = (content: Readonly<Record<string, Content>>): Record<string, Content> =>
  Object.fromEntries(
    Object.entries(content).map(([type, { schema }]) => [
      type,
      schema === undefined || Object.keys(schema).length === 0 ? {} : { schema },
    ]),
  );

const headersOf = (...names: readonly string[]): Record<string, object> =>
  Object.fromEntries(names.map((name) => [name, { description: HEADERS[name], schema: { type: 'string' } }]));

const completeAll: SwaggerTransformObject = (documents) => {
  if (!('openapiObject' in documents)) return documents.swaggerObject;
  const { openapiObject } = documents;
  const paths = (openapiObject.paths ?? {}) as unknown as Record<string, Record<string, Operation>>;
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) complete(path, method, operation);
  }
  return openapiObject;
};

export const DESCRIPTION: SwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Branchbox controller',
      version: '1',
      description:
        'The fleet, its inventory and status. What can be read with GET answers HEAD too, and every path OPTIONS; a method that a path does not have is 405 with Allow, one that HTTP does not have 501.',
    },
    components: { securitySchemes: { admin: { type: 'http', scheme: 'bearer' } } },
    security: [{ admin: [] }],
  },
  transform: describeRoute,
  transformObject: completeAll,
};
