/**
 * Owns how the API describes itself (OpenAPI 3.1), from the schemas that decode and encode.
 * Does not own any route nor its words: each carries its `operationId` and `summary`.
 */
import type { SwaggerOptions, SwaggerTransform } from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';

/** A body that is read as a stream has no schema to decode by, and is described by its media types. */
const describeRoute: SwaggerTransform = (route) => {
  const described = jsonSchemaTransform(route);
  const { schema } = described;
  if (schema.consumes === undefined || schema.body !== undefined) return described;
  return { ...described, schema: { ...schema, body: { type: 'string', format: 'binary' } } };
};

export const DESCRIPTION: SwaggerOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Branchbox controller',
      version: '1',
      description: 'The fleet, its inventory and status.',
    },
    components: { securitySchemes: { admin: { type: 'http', scheme: 'bearer' } } },
    security: [{ admin: [] }],
  },
  transform: describeRoute,
};
