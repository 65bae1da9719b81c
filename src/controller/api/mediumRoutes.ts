/**
 * Owns the route by which a bootstrap medium is made. What it answers may hold the password of a provider's line, and
 * is kept by nobody here; the audit log says that there was one.
 */
import { z } from 'zod';
import { MadeMedium, MediumWish } from '../../model/medium.ts';
import { InventoryEntry } from '../store/entities.ts';
import { ADMIN, type Api, type ApiContext } from './context.ts';
import { ERROR_RESPONSES } from './errors.ts';

const Params = z.object({ serial: InventoryEntry.shape.serial });

export function registerMediumRoutes(api: Api, { store, media, clock }: ApiContext): void {
  api.post(
    '/inventory/:serial/medium',
    {
      schema: {
        operationId: 'makeMedium',
        summary: 'Makes the files of a bootstrap medium (USB stick) for a box, signed and good for a while',
        params: Params,
        body: MediumWish,
        response: { 201: MadeMedium, ...ERROR_RESPONSES },
      },
    },
    async (request, reply) => {
      const { serial } = request.params;
      const made = await media.make(serial, request.body);
      await store.records.audit({
        atMs: clock.nowMs(),
        actor: ADMIN,
        action: 'medium-made',
        subject: serial,
        detail: `until ${new Date(made.expiresOnMs).toISOString()}`,
      });
      return reply.code(201).header('Cache-Control', 'no-store').send(made);
    },
  );
}
