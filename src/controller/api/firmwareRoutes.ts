/**
 * Owns the routes of firmware versions: a manifest, then its parts as streams, and the list.
 */
import { Readable } from 'node:stream';
import { z } from 'zod';
import { Sha256 } from '../../model/app.ts';
import { BranchboxError } from '../../model/errors.ts';
import { FirmwareManifest, FirmwareVersion } from '../../model/firmware.ts';
import { firmwareOf } from '../../model/fleet.ts';
import type { OfferedFirmware } from '../firmware.ts';
import { announcedBytes } from '../requestBody.ts';
import { STREAM_MEDIA_TYPES } from './bundleRoutes.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const Offered = z.strictObject({
  version: FirmwareVersion,
  arch: z.string(),
  builtAtMs: z.number(),
  rootHash: z.string(),
  parts: FirmwareManifest.shape.parts,
  /** SHA-256 of parts that are not here yet; none: it can be had by boxes. */
  missing: z.array(Sha256),
});

export function registerFirmwareRoutes(api: Api, { store, fleet, firmware, clock }: ApiContext): void {
  const audit = (action: string, subject: string, detail: string): Promise<void> =>
    store.records.audit({ atMs: clock.nowMs(), actor: ADMIN, action, subject, detail });

  api.get(
    '/firmware',
    {
      schema: {
        operationId: 'listFirmware',
        summary: 'All firmware versions',
        response: { 200: z.array(Offered), ...ERROR_RESPONSES },
      },
    },
    async () => (await firmware.list()).map(printed),
  );
  api.post(
    '/firmware',
    {
      schema: {
        operationId: 'uploadFirmware',
        summary: 'Takes in a signed manifest; its parts are to follow, those named as missing',
        consumes: ['application/jose'],
        body: z.string(),
        response: { 201: Offered, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const offered = await firmware.register(request.body);
      await audit('firmware-added', offered.manifest.version, offered.manifest.rootHash);
      return reply.code(201).send(printed(offered));
    },
  );
  api.post(
    '/firmware/parts',
    {
      schema: {
        operationId: 'uploadFirmwarePart',
        summary: 'Takes in a part that a manifest names',
        consumes: STREAM_MEDIA_TYPES,
        querystring: z.object({ sha256: Sha256 }),
        response: { 201: z.strictObject({ sha256: Sha256, sizeBytes: z.number() }), ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      if (!(request.body instanceof Readable)) {
        throw new BranchboxError('model/invalid', {
          message: `the body is not of ${STREAM_MEDIA_TYPES.join(' or ')}`,
        });
      }
      const announced = announcedBytes(request.headers);
      const stored = await firmware.takePart(request.query.sha256, request.body, announced);
      await audit('firmware-part-added', stored.sha256, `${stored.sizeBytes} bytes`);
      return reply.code(201).send(stored);
    },
  );
  api.delete(
    '/firmware/:version',
    {
      schema: {
        operationId: 'removeFirmware',
        summary: 'Forgets a version that no gateway is to run',
        params: z.object({ version: FirmwareVersion }),
        response: { 204: z.undefined(), ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { version } = request.params;
      const present = (await fleet.read())?.fleet;
      const user = present?.gateways.find((gateway) => firmwareOf(present, gateway)?.version === version);
      if (user !== undefined) {
        throw new BranchboxError('controller/conflict', {
          message: `gateway ${user.id} is to run firmware ${version}`,
          mend: 'Name another version in the fleet first.',
        });
      }
      await firmware.remove(version);
      await audit('firmware-removed', version, '');
      return reply.code(204).send();
    },
  );
}

const printed = ({ manifest, missing }: OfferedFirmware): z.input<typeof Offered> => ({
  version: manifest.version,
  arch: manifest.arch,
  builtAtMs: manifest.builtAtMs,
  rootHash: manifest.rootHash,
  parts: manifest.parts,
  missing: missing.map(({ sha256 }) => sha256),
});
